"""Files: written whole or not at all, temporary ones without room, and where a user's own lie."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import TemporaryFilesError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows; there, what a killed writer left stays
    fcntl = None

# A disk, a share of it or a file that may not grow further.
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Bytes of the target in a temporary name, which must stay below the 255 that file systems allow.
_NAME_BYTES, _SUFFIX_BYTES = 80, 40
_RANDOM = r"[a-z0-9_]{8}"  # as tempfile makes them
_FOLDER_PREFIX = ".facespot-"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends well and is removed otherwise.

    Nobody ever sees a half-written file, and two writers never share a temporary one: its name is random, and it is
    made anew, never through a link that somebody laid there. Raises OSError where the folder cannot be written.
    """
    import tempfile  # on use: most commands that are only asked for help import this module

    path = Path(path)
    prefix, suffix = f".{_cut(path.name, _NAME_BYTES)}.", _cut(path.suffix, _SUFFIX_BYTES)
    _remove_abandoned(path.parent, prefix, suffix)
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
        if _locked(handle):
            break
        os.close(handle)  # somebody who clears up was faster than we at locking it, and takes it away
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
        if fcntl is not None:
            os.close(handle)


def _cut(name: str, most_bytes: int) -> str:
    """The beginning of a name, of so many bytes at most."""
    return os.fsdecode(os.fsencode(name)[:most_bytes])


def _locked(handle: int) -> bool:
    """Whether the new file is now this writer's. The lock ends with the writer, however it ends."""
    if fcntl is None:
        os.close(handle)  # an open file cannot be renamed there
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, on which nobody clears up
        return True
    return os.fstat(handle).st_nlink > 0


def _remove_abandoned(folder: Path, prefix: str, suffix: str) -> None:
    """Delete what killed writers of the same file left: temporary names that nobody holds a lock on."""
    if fcntl is None:
        return
    ours = re.compile(re.escape(prefix) + _RANDOM + re.escape(suffix), re.DOTALL)
    try:
        left = [name for name in os.listdir(folder) if ours.fullmatch(name)]
    except OSError:  # whoever writes into it is told why that cannot be
        return
    for name in left:
        path = folder / name
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(handle)


@contextmanager
def temporary_files() -> Iterator[None]:
    """Goes around what makes or writes temporary files, and nothing else that writes.

    Raises TemporaryFilesError, which names their folder and what to do, where that is full, or where no folder takes
    any; every other OSError as it is.
    """
    import tempfile

    try:
        yield
    except OSError as error:
        try:
            folder = tempfile.gettempdir()
        except FileNotFoundError:
            advice = "let TMPDIR name a folder that can be written and has room"
            raise TemporaryFilesError(f"no folder takes temporary files ({error.strerror}); {advice}") from error
        if error.errno not in _NO_ROOM:
            raise
        advice = "make room there, or let TMPDIR name a folder that has some"
        raise TemporaryFilesError(
            f"{folder}: no room for temporary files ({os.strerror(error.errno)}); {advice}"
        ) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder among the temporary files, for this user alone, that is removed at the end.

    So are those that killed processes of the same user left, in which there may be pictures of faces; they are known by
    their names, and by a lock that nobody holds. Making it raises TemporaryFilesError as `temporary_files` does.
    """
    import shutil
    import tempfile

    with temporary_files():
        _remove_abandoned_folders(Path(tempfile.gettempdir()))
        handle = None
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
            if fcntl is None:
                break
            with suppress(FileNotFoundError):  # somebody who clears up was faster than we at locking it
                handle = os.open(folder, os.O_RDONLY)
                if _locked(handle):
                    break
                os.close(handle)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _remove_abandoned_folders(place: Path) -> None:
    """Delete the temporary folders of this user that nobody holds a lock on."""
    if fcntl is None:
        return
    import shutil

    ours = re.compile(re.escape(_FOLDER_PREFIX) + _RANDOM)
    for name in filter(ours.fullmatch, os.listdir(place)):
        with suppress(OSError):
            handle = os.open(place / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(handle).st_uid == os.getuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(place / name)
            finally:
                os.close(handle)


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
