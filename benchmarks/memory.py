"""Memory of spotting a short and a long recording of one face, at its peak and over time:
python benchmarks/memory.py [--minutes M] [--side PIXELS] [--plot FILE]

The recordings are made on the spot: the bundled sample, forwards and backwards in turn so that the face never jumps
and the whole is one unbroken segment, which is what takes the most memory. Each is spotted in a process of its own.
"""

import multiprocessing
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import click

FPS = 30
SHORT_MINUTES = 1.0
STATM = Path("/proc/self/statm")
_COURSE_STEP_MINUTES = 0.1
_PER_MEBIBYTE = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss


def make_recording(sample: Path, video: Path, minutes: float, side: int | None = None) -> int:
    """Write `minutes` of the sample, there and back again and again; returns the number of frames.

    side: pixels across, by default as many as the sample has.

    It is coded once and its packets repeated, so that half an hour takes seconds to make.
    """
    import io

    import av

    with av.open(str(sample)) as source:
        size = source.streams.video[0].width, source.streams.video[0].height
        if side is not None:
            size = side, side
        shrunk = (frame.reformat(*size, format="yuv420p", interpolation="AREA") for frame in source.decode(video=0))
        there = [frame.to_ndarray() for frame in shrunk]
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


@dataclass(frozen=True)
class Spotting:
    """peak: resident memory of a process that only spots a recording, MiB. coverage: share of the recording in which
    the face was followed. segments: unbroken ones. disk: of the features in temporary files, MiB. course: (minutes of
    the recording done, resident MiB then); empty where the system does not tell."""

    peak: float
    coverage: float
    segments: int
    disk: float
    course: list[tuple[float, float]]


def peak_of_spotting(video: Path) -> Spotting:
    """In this process, which should do nothing else."""
    import facespot

    course: list[tuple[float, float]] = []

    def note(done: int, _: int | None) -> None:
        minutes = done / (60 * FPS)
        if STATM.exists() and (not course or minutes - course[-1][0] >= _COURSE_STEP_MINUTES):
            course.append((minutes, int(STATM.read_text().split()[1]) * resource.getpagesize() / 2**20))

    features = facespot.extract_features(video, progress=note)
    result = facespot.Spotter.load(device="cpu").spot(features)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE
    disk = sum(array.nbytes for array in (features.snippets, features.landmarks, features.segment)) / 2**20
    segments = result.provenance["extraction"]["face_report"]["segments"]
    return Spotting(peak, result.coverage, segments, disk, course)


def draw(spotted: Spotting, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*spotted.course, strict=True), label="while its features are made")
    axes.axhline(spotted.peak, color="0.5", linestyle="--", label="peak, the network included")
    axes.set(xlabel="minutes of the recording done", ylabel="resident memory, MiB", ylim=(0, 1.15 * spotted.peak))
    axes.set_xlim(0, spotted.course[-1][0])
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


@click.command(help=__doc__)
@click.option("--minutes", default=30.0, show_default=True, help="length of the long recording")
@click.option("--side", type=int, help="pixels across, instead of the sample's own")
@click.option("--plot", type=click.Path(path_type=Path), help="draw the long recording's memory over time")
def main(minutes: float, side: int | None, plot: Path | None) -> None:
    peaks = []
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, as_file(files("facespot.samples") / "astronaut.mp4") as sample:
        for length in (SHORT_MINUTES, minutes):
            video = Path(folder) / f"{length:g}_minutes.mp4"
            # This process stays small: a child's peak counts from what its parent holds.
            with ProcessPoolExecutor(1, mp_context=fresh) as maker:
                n_frames = maker.submit(make_recording, sample, video, length, side).result()
            with ProcessPoolExecutor(1, mp_context=fresh) as spotter:
                spotted = spotter.submit(peak_of_spotting, video).result()
            peaks.append(spotted.peak)
            click.echo(
                f"{length:g} min, {n_frames} frames: peak {spotted.peak:.0f} MiB, {spotted.disk:.0f} MiB of files "
                f"(face followed in {100 * spotted.coverage:.0f} %, {spotted.segments} unbroken)"
            )
            for minute, resident in spotted.course[:: max(len(spotted.course) // 8, 1)]:
                click.echo(f"  at {minute:5.1f} min {resident:5.0f} MiB")
    click.echo(f"ratio {peaks[1] / peaks[0]:.3f}")
    if plot is not None:
        draw(spotted, plot)


if __name__ == "__main__":
    main()
