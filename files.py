"""Files: written whole or not at all, and where a user's own lie."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME_CHARACTERS = 80  # of the target in a temporary name, which must stay below the 255 bytes file systems allow


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends well and is removed otherwise.

    Nobody ever sees a half-written file, and two writers never share a temporary one: its name is random, and it is
    made anew, never through a link that somebody laid there. Raises OSError where the folder cannot be written.
    """
    import tempfile  # on use: most commands that are only asked for help import this module

    path = Path(path)
    prefix = f".{path.name[:_NAME_CHARACTERS]}."
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private to the user; a result should be as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def user_cache_folder() -> Path:
    """Where this platform keeps what programs can make again. Raises FileNotFoundError for a user without a home."""
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("facespot", appauthor=False)
    except (KeyError, RuntimeError):
        folder = Path()
    if not folder.is_absolute():
        raise FileNotFoundError("no home folder of this user is known")
    return folder
