"""Where a command keeps features."""

from pathlib import Path

from ..errors import FacespotError
from ..files import user_cache_folder
from .console import Console


def open_cache(choice: str | None, console: Console) -> Path | None:
    """The folder that `--cache` means, made if need be; None for none. Raises FacespotError if it cannot be made."""
    if choice == "none":
        return None
    try:
        folder = Path(choice) if choice else user_cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if choice:
            raise FacespotError(f"{error}; give --cache another folder, or none") from error
        # Nobody asked for this folder: a read-only home is no reason to fail.
        console.warn(f"features are not cached ({error}); choose a folder with --cache")
        return None
    return folder
