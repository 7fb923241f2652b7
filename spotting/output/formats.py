"""Results as files other tools open: the one table of formats, and what writes them.

A format is a function `SpotResult` -> text or bytes in a module beside this one, which loads only when it is used. All
of them draw their columns from `SpotResult.rows()`. Times are seconds from the first frame of the video; an interval
ends at the time stamp of its offset frame.
"""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import FacespotError

if TYPE_CHECKING:
    from ..result import SpotResult


@dataclass(frozen=True)
class Writer:
    """One output format.

    suffix: what follows the video's name. renderer: "module:function" beside this module, (result, path) -> text or
    bytes, where `path` only tells the way from the output to the video. needs: modules that are not always installed,
    and `extra` the option of the package that brings them. sidecar: renderer of a JSON file of the same name, if any.
    """

    name: str
    suffix: str
    renderer: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    sidecar: str = ""

    def check(self) -> None:
        """Raises FacespotError if what this format needs is not installed."""
        missing = [module for module in self.needs if find_spec(module) is None]
        if missing:
            raise FacespotError(
                f"writing {self.name} needs {' and '.join(missing)}: pip install 'facespot[{self.extra}]'"
            )

    def render(self, result: "SpotResult", path: Path) -> str | bytes:
        """The content of the file; raises FacespotError as `check` does."""
        self.check()
        return _rendered(self.renderer, result, path)

    def write(self, result: "SpotResult", path: Path) -> list[Path]:
        """Writes atomically; returns the files written, the sidecar last. Raises OSError where that is impossible."""
        from ...files import replacing

        path = Path(path)
        contents = {path: self.render(result, path)}
        if self.sidecar:
            contents[path.with_suffix(".json")] = _rendered(self.sidecar, result, path)
        for target, content in contents.items():
            # File names need not be valid Unicode; their bytes are passed on as they are.
            data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
            with replacing(target) as temporary:
                temporary.write_bytes(data)
        return list(contents)


WRITERS: dict[str, Writer] = {
    w.name: w
    for w in (
        Writer("csv", ".spots.csv", "tables:render_csv"),
        Writer("tsv", ".spots.tsv", "tables:render_tsv"),
        Writer("json", ".spots.json", "documents:render_json"),
        Writer("parquet", ".spots.parquet", "tables:render_parquet", ("pyarrow",), "tables"),
        Writer("xlsx", ".spots.xlsx", "tables:render_xlsx", ("xlsxwriter",), "tables"),
        Writer("elan", ".spots.eaf", "elan:render_elan"),
        Writer("textgrid", ".spots.TextGrid", "textgrid:render_textgrid"),
        Writer("boris", ".boris.tsv", "boris:render_boris"),
        Writer("vtt", ".spots.vtt", "subtitles:render_webvtt"),
        Writer("bids", "_events.tsv", "bids:render_bids", sidecar="bids:render_sidecar"),
        Writer("megc2022", ".megc2022.csv", "challenge:render_megc2022"),
        Writer("megc2023", ".megc2023.csv", "challenge:render_megc2023"),
    )
}
FORMATS: tuple[str, ...] = tuple(WRITERS)


def get_writer(name: str) -> Writer:
    """The writer of a format in `FORMATS`; raises ValueError for another name."""
    try:
        return WRITERS[name]
    except KeyError:
        raise ValueError(f"unknown format {name!r}, choose from {', '.join(FORMATS)}") from None


def _rendered(renderer: str, result: "SpotResult", path: Path) -> str | bytes:
    module, function = renderer.split(":")
    return getattr(importlib.import_module(f".{module}", __package__), function)(result, path)
