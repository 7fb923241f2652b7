"""The journal: every act of a coder on disk before it is answered, one JSON object a line.

The first line says what is labelled; each further one is an act. Nothing is ever rewritten, so that a process killed at
any moment loses at most an act whose answer nobody has seen; such a torn last line is dropped when the file is opened
again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ...errors import AnnotationError, FacespotError
from ...files import replacing

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows has no advisory locks; there, two pages over one journal are not told from one
    fcntl = None

FORMAT = "facespot labels"
FORMAT_VERSION = 1


class Journal:
    """One open journal, held by one process. header: the first line. acts: all that were ever done, in order."""

    def __init__(self, path: Path, header: dict[str, Any], acts: list[dict[str, Any]], file: Any) -> None:
        self.path = path
        self.header = header
        self.acts = acts
        self._file = file

    @classmethod
    def open(cls, path: str | os.PathLike[str], header: Mapping[str, Any]) -> Self:
        """The journal at `path`, begun with `header` if there is none yet.

        Raises AnnotationError for a file that is no journal, FacespotError if another process holds it, OSError where
        it cannot be written.
        """
        path = Path(path)
        if not path.exists():
            first = {"format": FORMAT, "format_version": FORMAT_VERSION, **header}
            with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as begun:
                begun.write(_line(first))
                begun.flush()
                os.fsync(begun.fileno())
            _sync_folder(path.parent)
        file = path.open("r+b", buffering=0)
        try:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise FacespotError(
                        f"{path}: another `spot label` is writing to it; close that one first"
                    ) from error
            header, acts, whole = _parse(path, file.read())
            file.truncate(whole)
            file.seek(whole)
        except BaseException:
            file.close()
            raise
        return cls(path, header, acts, file)

    def append(self, act: Mapping[str, Any]) -> None:
        """Returns when the act is on the disk. Raises OSError, and takes back a half-written line, where it is full."""
        end = self._file.seek(0, os.SEEK_END)
        data = _line(act).encode()
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
        self.acts.append(dict(act))

    def close(self) -> None:
        self._file.close()


def read_journal(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and acts of a journal that somebody else may be writing. Raises AnnotationError as `Journal.open`."""
    path = Path(path)
    try:
        header, acts, _ = _parse(path, path.read_bytes())
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from error
    return header, acts


def _parse(path: Path, data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Header, acts and the number of bytes that are whole lines."""
    whole = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            raise AnnotationError(f"{path}, line {number}: damaged ({error}); restore it from a copy") from error
        records.append(record)
    if not records or records[0].get("format") != FORMAT:
        raise AnnotationError(f"{path}: not a journal of `spot label`")
    if records[0].get("format_version") != FORMAT_VERSION:
        raise AnnotationError(f"{path}: written by another version of facespot ({records[0].get('format_version')})")
    return records[0], records[1:], whole


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"


def _sync_folder(folder: Path) -> None:
    """A new name is safe only when its folder is on the disk too; Windows cannot and need not."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
