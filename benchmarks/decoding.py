"""What decoding H.264 costs by the size of the picture, and what of it could be saved: python benchmarks/decoding.py

Each recording is the bundled sample with grain, stretched to the size and coded anew. Processor milliseconds a picture
of all threads together, the least of the runs; wall time depends on what else is running.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

import av
import click
import cv2
import numpy as np
from av.codec import hwaccel
from facespot.extract.reading.video import open_video

SIZES = {"512x512": (512, 512), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
_GRAIN = 4.0  # standard deviation, of 255: what a sensor adds, and most of what is coded
_HELD = 20  # pictures in memory at once
_BITS_PER_PIXEL = 0.25  # and frame: about what phones record with


def write_sized(path: Path, size: tuple[int, int], n_frames: int) -> float:
    """The first frames of the sample at (width, height) pixels, 30 a second. Returns megabits a second."""
    rng = np.random.default_rng(0)
    n_pixels = size[0] * size[1]
    grain = rng.normal(0, _GRAIN, 2 * n_pixels).astype(np.float32)
    with (
        as_file(files("facespot.samples") / "astronaut.mp4") as sample,
        av.open(str(sample)) as source,
        av.open(str(path), "w") as target,
    ):
        out = target.add_stream("libx264", rate=30, options={"preset": "fast"})
        out.bit_rate = round(_BITS_PER_PIXEL * 30 * n_pixels)
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        for _, frame in zip(range(n_frames), source.decode(video=0), strict=False):
            picture = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_CUBIC)
            at = rng.integers(n_pixels)  # further off than the coder looks for a picture's like
            noisy = picture + grain[at : at + n_pixels].reshape(size[1], size[0], 1)
            target.mux(out.encode(av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8))))
        target.mux(out.encode())
    return path.stat().st_size * 8 * 30 / n_frames / 1e6


def read(path: Path) -> int:
    """As `spot` reads it, but for RGB. Returns the number of pictures."""
    with open_video(path) as stream:
        return sum(1 for _ in stream.pending())


def conversion(path: Path, runs: int) -> float:
    """Processor milliseconds that a picture takes to become RGB, the least of the runs."""

    def develop() -> int:
        for frame in frames:
            frame.develop()
        return len(frames)

    with open_video(path) as stream:
        # Once decoded, so that the decoder's threads rest. The first has been RGB since the file was opened.
        frames = list(islice(stream.pending(), _HELD))[1:]
        return cost(develop, runs)


def decoded(path: Path, **options: str) -> Iterator[np.ndarray]:
    """(H, W) uint8, the luma of every picture, decoded with FFmpeg's options. Raises av.FFmpegError."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = options
        for frame in container.decode(stream):
            plane = frame.planes[0]
            yield np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def cost(work: Callable[[], int], runs: int) -> float:
    """Processor milliseconds a picture, the least of the runs. work: returns how many pictures there were."""
    least = math.inf
    for _ in range(runs):
        start = time.process_time()
        count = work()
        least = min(least, 1e3 * (time.process_time() - start) / count)
    return least


def device_decoders() -> list[str]:
    """Kinds of devices that this FFmpeg knows and that open here."""
    found = []
    for kind in hwaccel.hwdevices_available():
        try:
            with av.open(str(files("facespot.samples") / "astronaut.mp4"), hwaccel=_device(kind)) as container:
                next(container.decode(video=0))
            found.append(kind)
        except (av.FFmpegError, RuntimeError, NotImplementedError, ValueError):
            continue  # known to FFmpeg, and not there: the answer that is asked for
    return found


def _device(kind: str) -> hwaccel.HWAccel:
    return hwaccel.HWAccel(kind, allow_software_fallback=False)


@click.command(help=__doc__)
@click.option("--frames", default=90, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--only", type=click.Choice(list(SIZES)), multiple=True)
def main(frames: int, runs: int, only: tuple[str, ...]) -> None:
    click.echo(
        "| size | Mbit/s | decode | to RGB | decode without deblocking | its pictures differ by |\n" + "|---" * 6 + "|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "clip.mp4"
        for name in only or SIZES:
            rate = write_sized(path, SIZES[name], frames)
            decode, rgb = cost(lambda: read(path), runs), conversion(path, runs)
            fast = {"skip_loop_filter": "all"}
            without = cost(lambda options=fast: sum(1 for _ in decoded(path, **options)), runs)
            pairs = zip(decoded(path), decoded(path, **fast), strict=True)
            difference = float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in pairs]))
            costs = f"{decode:.2f} ms | {rgb:.2f} ms | {without:.2f} ms"
            click.echo(f"| {name} | {rate:.1f} | {costs} | {difference:.2f} of 255 |")
        try:
            shape = next(decoded(path, lowres="1")).shape
            click.echo(f"lowres=1 gives pictures of {shape[1]}x{shape[0]}")
        except av.FFmpegError as error:
            click.echo(f"lowres=1: {error}")
    known = ", ".join(hwaccel.hwdevices_available())
    click.echo(f"devices FFmpeg was built for: {known}; that decode here: {', '.join(device_decoders()) or 'none'}")


if __name__ == "__main__":
    main()
