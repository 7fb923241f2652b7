"""How fast a recording is spotted, from the file to the intervals, and what each stage costs.

python benchmarks/speed.py VIDEO [--runs N] [--cores N] [--frames N]
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click
from facespot.extract.face.following import choose_subject, follow_face, scan_subjects
from facespot.extract.face.subjects import SCAN_PERIOD_S
from facespot.extract.motion.snippets import build_snippets
from facespot.extract.pipeline import extract_features
from facespot.extract.reading.video import open_video
from facespot.extract.threads import single_threaded_opencv
from facespot.spotting.spotter import Spotter

T = TypeVar("T")


def end_to_end(video: Path, spotter: Spotter, runs: int) -> Iterator[tuple[int, float, float]]:
    """(frames, wall seconds, processor seconds) of each run. Loading libraries and weights is left out."""
    for _ in range(runs):
        wall, processor = time.perf_counter(), time.process_time()
        features = extract_features(video)
        spotter.spot(features)
        yield features.timebase.n_frames, time.perf_counter() - wall, time.process_time() - processor


def stages(video: Path, spotter: Spotter, n_frames: int) -> Iterator[tuple[str, float, float]]:
    """(stage, wall, processor milliseconds a frame) of each stage run by itself on the first frames, held in memory.

    Processor time counts the threads of FFmpeg, MediaPipe and torch as well. Decoding is paid once, or where the face
    to follow is found out at the end only, twice.
    """

    def timed(work: Callable[[], T]) -> tuple[T, float, float]:
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        return result, 1e3 * (time.perf_counter() - wall) / count, 1e3 * (time.process_time() - processor) / count

    with open_video(video) as stream:
        count = min(n_frames, sum(1 for _ in stream.pending()))
    with open_video(video) as stream:
        pending, *cost = timed(lambda: [frame for frame, _ in zip(stream.pending(), range(count), strict=False)])
        yield "decode (in each reading)", *cost
        # Each stage turns those pictures into RGB that it is the first to read so.
        frames = [f for f in (frame.develop() for frame in pending) if f is not None]
    seen, due = [], 0.0
    for frame in frames:
        if frame.time >= due:
            due = frame.time + SCAN_PERIOD_S - 1e-3
            seen.append(frame)
    subjects, *cost = timed(lambda: scan_subjects(seen))
    yield "see who is there", *cost
    with single_threaded_opencv():
        faces, *cost = timed(lambda: list(follow_face(frames, choose_subject(subjects))))
        yield "face mesh", *cost
        _, *cost = timed(lambda: list(build_snippets(faces)))
        yield "flow and snippets", *cost
    features = extract_features(video)
    _, wall, processor = timed(lambda: spotter.spot(features))
    share = count / features.timebase.n_frames
    yield "network and voting", share * wall, share * processor


@click.command(help=__doc__)
@click.argument("video", type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default=5, show_default=True, help="runs from end to end")
@click.option("--cores", default=2, show_default=True, help="processor cores that may be used (Linux only)")
@click.option("--frames", default=300, show_default=True, help="frames that the stages are measured on")
def main(video: Path, runs: int, cores: int, frames: int) -> None:
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)
    spotter = Spotter.load(device="cpu")
    with open_video(video) as stream:
        click.echo(f"{video.name}: {stream.width}x{stream.height} at {stream.fps:g} frames/s, {cores} cores")
    rates = []
    for count, wall, processor in end_to_end(video, spotter, runs):
        rates.append(count / wall)
        click.echo(
            f"  {count} frames in {wall:.2f} s: {rates[-1]:.1f} frames/s, "
            f"{1e3 * processor / count:.1f} ms of processor time a frame (load {os.getloadavg()[0]:.1f})"
        )
    click.echo(f"end to end, median of {runs}: {statistics.median(rates):.1f} frames/s")
    click.echo("stage by itself           wall ms  processor ms  (a frame)")
    for name, wall, processor in stages(video, spotter, frames):
        click.echo(f"  {name:<22} {wall:8.2f}  {processor:12.2f}")


if __name__ == "__main__":
    main()
