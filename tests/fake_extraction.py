"""Stands in for extraction where a test is about processes and files: quick, and equal bytes for equal recordings.

What a recording's text says is done: `bad` fails, `kill` takes the process down, `slow` takes a while. Run as a script
it prepares a folder and prints a line per outcome.
"""

import os
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from facespot.errors import NotAVideoError
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS, ROI_NAMES
from facespot.extract.timebase import Timebase


def fake_features(path: Path, options: object = None, *, fps: float | None = None) -> FaceFeatures:
    text = Path(path).read_text(encoding="utf-8")
    if "bad" in text:
        raise NotAVideoError(f"{path}: holds no video")
    if "kill" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "slow" in text:
        time.sleep(0.2)
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    n = 600
    return FaceFeatures(
        rng.random((n, SNIPPET_STEPS, len(ROI_NAMES), 2), dtype=np.float32),
        rng.random((n, len(KEPT_MESH_POINTS), 3), dtype=np.float32),
        np.zeros(n, np.int32),
        Timebase(np.arange(n) / 30.0),
        {"source": {"path": str(path)}, "warnings": [f"{path}: is not a real video"]},
    )


def main(root: str, output: str, scheduler: str = "") -> None:
    from facespot.spotting.datasets.layouts import scan_dataset
    from facespot.spotting.datasets.prepare import prepare

    summary = prepare(
        scan_dataset(root),
        root,
        output,
        processes=2,
        scheduler=scheduler or None,
        extract=fake_features,
        progress=lambda outcome: print(outcome.recording.video, outcome.status, outcome.message, flush=True),
    )
    print("end", summary.count("made"), summary.count("kept"), len(summary.failures), flush=True)
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    # By its module name, so that other processes find the same function.
    import fake_extraction

    fake_extraction.main(*sys.argv[1:])
