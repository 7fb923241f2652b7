"""Peak memory of spotting a short and a long recording of one face, or of a training step at the published size.

python benchmarks/memory.py [--minutes M]
python benchmarks/memory.py --training [--ticks N] [--precision float32|bf16]

The recordings are made on the spot: the bundled sample, forwards and backwards in turn so that the face never jumps
and the whole is one unbroken segment, which is what takes the most memory. Each is spotted in a process of its own.
So is the step taken: one simulated video of the longest kind in CAS(ME)^2 (148 s at 30 frames a second) with ten
expressions, in the third stage of the labels, where every term of the loss has a part.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click

FPS = 30
SHORT_MINUTES = 1.0
POINTS = 10  # expressions that are learnt from
_PER_MEBIBYTE = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss


def make_recording(sample: Path, video: Path, minutes: float) -> int:
    """Write `minutes` of the sample, there and back again and again; returns the number of frames.

    It is coded once and its packets repeated, so that half an hour takes seconds to make.
    """
    import io

    import av

    with av.open(str(sample)) as source:
        there = [frame.to_ndarray(format="yuv420p") for frame in source.decode(video=0)]
        size = source.streams.video[0].width, source.streams.video[0].height
    unit = io.BytesIO()
    with av.open(unit, "w", format="mp4") as container:
        # Without B-frames a packet's time is its place, and the joints need no care.
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for picture in [*there, *there[-2:0:-1]]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())
    n_frames = round(60 * minutes * FPS)
    written = 0
    with av.open(str(video), "w") as target:
        copy = None
        while written < n_frames:
            unit.seek(0)
            with av.open(unit) as source:
                stream = source.streams.video[0]
                copy = copy or target.add_stream_from_template(stream)
                period = round(1 / (FPS * stream.time_base))
                for packet in source.demux(stream):
                    if packet.dts is None or written == n_frames:
                        break
                    packet.pts = packet.dts = written * period
                    packet.stream = copy
                    target.mux(packet)
                    written += 1
    return n_frames


def peak_of_spotting(video: Path) -> tuple[float, float, int]:
    """Peak resident memory in MiB of a process that only spots the recording, the share of it in which the face was
    followed, and the number of unbroken segments."""
    import facespot

    result = facespot.spot(video, device="cpu")
    segments = result.provenance["extraction"]["face_report"]["segments"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE, result.coverage, segments


def peak_of_training(ticks: int, precision: str) -> tuple[float, float, float, float]:
    """Peak resident memory in MiB before and after one step on a video of so many ticks, processor seconds, loss."""
    import numpy as np
    from facespot.extract.features import FaceFeatures
    from facespot.extract.timebase import Timebase
    from facespot.spotting.intervals import Point
    from facespot.spotting.learning.from_points import PointTrainer
    from facespot.spotting.learning.point_videos import PointVideo
    from facespot.spotting.learning.recipes import PointRecipe
    from facespot.spotting.simulation.anatomy import draw_person
    from facespot.spotting.simulation.sensor import observe
    from facespot.spotting.simulation.timeline import perform

    rng = np.random.default_rng(0)
    person = draw_person(rng)
    performance = perform(person, ticks, rng, busy=0.4, speech=0.0)
    seen = observe(person, performance, rng)
    features = FaceFeatures(seen.snippets, seen.landmarks, np.zeros(ticks, np.int32), Timebase(np.arange(ticks) / FPS))
    points = sorted({Point(e.apex, e.type) for e in performance.events})[:POINTS]
    recipe = replace(PointRecipe.preset("casme2", "journal", "paper"), batch=1, precision=precision)
    trainer = PointTrainer([PointVideo("twin", "s", "v", features, tuple(points))], recipe)
    trainer.epoch = sum(recipe.labels.stage_epochs)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE, time.process_time()
    loss = trainer.run_epoch().terms["total"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE
    return before, peak, time.process_time() - start, loss


@click.command(help=__doc__)
@click.option("--minutes", default=30.0, show_default=True, help="length of the long recording")
@click.option("--training", is_flag=True, help="a training step instead")
@click.option("--ticks", default=4440, show_default=True, help="length of the video that is learnt from")
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32", show_default=True)
def main(minutes: float, training: bool, ticks: int, precision: str) -> None:
    fresh = multiprocessing.get_context("spawn")
    if training:
        with ProcessPoolExecutor(1, mp_context=fresh) as learner:
            before, peak, seconds, loss = learner.submit(peak_of_training, ticks, precision).result()
        click.echo(
            f"a step on {ticks} ticks at the published size, {precision}: peak {peak / 1024:.2f} GiB "
            f"({peak * 2**20 / 1e9:.2f} GB; {before:.0f} MiB before it), {seconds:.0f} s of processor time, "
            f"loss {loss:.4f}"
        )
        return
    peaks = []
    with tempfile.TemporaryDirectory() as folder, as_file(files("facespot.samples") / "astronaut.mp4") as sample:
        for length in (SHORT_MINUTES, minutes):
            video = Path(folder) / f"{length:g}_minutes.mp4"
            # This process stays small: a child's peak counts from what its parent holds.
            with ProcessPoolExecutor(1, mp_context=fresh) as maker:
                n_frames = maker.submit(make_recording, sample, video, length).result()
            with ProcessPoolExecutor(1, mp_context=fresh) as spotter:
                peak, coverage, segments = spotter.submit(peak_of_spotting, video).result()
            peaks.append(peak)
            click.echo(
                f"{length:g} min, {n_frames} frames: peak {peak:.0f} MiB "
                f"(face followed in {100 * coverage:.0f} %, {segments} unbroken)"
            )
    click.echo(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
