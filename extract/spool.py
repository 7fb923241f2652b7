"""Rows of features while they are made: in temporary files, so that memory does not grow with the recording."""

import tempfile
from collections.abc import Generator
from contextlib import closing, suppress

import numpy as np

from ..files import temporary_files
from .features import SNIPPET_STEPS
from .motion.snippets import TickRow
from .regions import KEPT_MESH_POINTS, ROI_NAMES


class RowSpool:
    """Collects rows and gives them back as memory-mapped arrays that outlive it. Use it as a context manager.

    Everything raises TemporaryFilesError where the folder of temporary files is full.
    """

    def __init__(self) -> None:
        self._layout = {
            "snippets": (np.float16, (SNIPPET_STEPS, len(ROI_NAMES), 2)),
            "landmarks": (np.float32, (len(KEPT_MESH_POINTS), 3)),
            "segment": (np.int32, ()),
        }
        with temporary_files():
            self._files = [tempfile.TemporaryFile() for _ in self._layout]  # noqa: SIM115 - closed by __exit__
        self.n_rows = 0

    def __enter__(self) -> "RowSpool":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for file in self._files:
            with suppress(OSError):  # of rows nobody asked for any more, which a full disk does not take
                file.close()

    def append(self, row: TickRow) -> None:
        values = (row.snippet, row.landmarks, row.segment)
        with temporary_files():
            for file, value, (dtype, _) in zip(self._files, values, self._layout.values(), strict=True):
                file.write(np.asarray(value, dtype).tobytes())
        self.n_rows += 1

    def fill(self, rows: Generator[TickRow, None, None]) -> None:
        """Append all rows, and close what they come from."""
        with closing(rows):
            for row in rows:
                self.append(row)

    def arrays(self, first: int = 0) -> list[np.ndarray]:
        """[(N, 17, 10, 2) float16, (N, K, 3) float32, (N,) int32] of the rows so far from `first` on, read-only."""
        with temporary_files():
            for file in self._files:
                file.flush()
        return [
            np.memmap(
                file,
                dtype,
                mode="r",
                offset=first * int(np.dtype(dtype).itemsize * np.prod(shape, dtype=int)),
                shape=(self.n_rows - first, *shape),
            )
            for file, (dtype, shape) in zip(self._files, self._layout.values(), strict=True)
        ]
