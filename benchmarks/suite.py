"""Everything that is measured of speed, in one run and one JSON file: python -m benchmarks.suite --json RUN.json

Run it from the repository, on an idle machine. Start time, frames a second and processor time at three picture sizes
and by stage, memory, scaling over processes, accuracy beside them, and what facespot is compared with. Takes some three
minutes of processor time. `python -m benchmarks.compare OLD.json NEW.json` compares two runs.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import as_file, files
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("facespot", "av", "mediapipe", "numpy", "opencv-contrib-python", "torch")
SIZES = {"512x512": (512, 512), "720p": (1280, 720), "480p": (854, 480)}
START_SECONDS = 2.0
STAGE_FRAMES = 150
MESH_FRAMES = 150
CLIPS_PER_CORE = 2
Results = dict[str, float]


def describe() -> dict[str, Any]:
    """What a run has to say about itself: when, what and where."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "machine": _processor(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "one a core"),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def recode(sample: Path, video: Path, size: tuple[int, int], seconds: float | None = None) -> Path:
    """The sample scaled to fit into (width, height), in the middle of a picture whose edges are repeated."""
    import av
    import cv2

    width, height = size
    with av.open(str(sample)) as source, av.open(str(video), "w") as target:
        rate = source.streams.video[0].average_rate
        stream = target.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if seconds is not None and number >= seconds * rate:
                break
            rgb = frame.to_ndarray(format="rgb24")
            scale = min(width / rgb.shape[1], height / rgb.shape[0])
            small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            left, top = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
            borders = (top, height - small.shape[0] - top, left, width - small.shape[1] - left)
            whole = cv2.copyMakeBorder(small, *borders, cv2.BORDER_REPLICATE)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="rgb24")))
        target.mux(stream.encode(None))
    return video


def measure_start(clip: Path, runs: int) -> Results:
    """`spot` on a short clip as a user starts it: the best of some runs, and the most memory any of them took."""
    walls, processors, peaks = [], [], []
    command = [sys.executable, "-m", "facespot.cli", str(clip), "-o", str(clip.parent), "--cache", "none", "--quiet"]
    for _ in range(runs):
        start = time.perf_counter()
        child = subprocess.Popen([*command, "--device", "cpu"])
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise click.ClickException(f"spot ended with exit code {child.returncode}")
        walls.append(time.perf_counter() - start)
        processors.append(used.ru_utime + used.ru_stime)
        peaks.append(used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
    return {"start wall s": min(walls), "start processor s": min(processors), "start peak MiB": max(peaks)}


def measure_speed(videos: Mapping[str, Path], runs: int) -> Results:
    """Frames a second (median) and processor time a frame (least) of each size; by stage for the first one."""
    from facespot.spotting.spotter import Spotter

    from .speed import end_to_end, stages

    spotter = Spotter.load(device="cpu")
    first = next(iter(videos))
    list(end_to_end(videos[first], spotter, 1))  # what loads on use
    found: Results = {}
    for name, video in videos.items():
        measured = list(end_to_end(video, spotter, runs))
        found[f"{name} frames/s"] = statistics.median(frames / wall for frames, wall, _ in measured)
        found[f"{name} processor ms/frame"] = min(1e3 * processor / frames for frames, _, processor in measured)
    for stage, _, processor in stages(videos[first], spotter, STAGE_FRAMES):
        found[f"{first} {stage} processor ms/frame"] = processor
    return found


def measure_memory(sample: Path, folder: Path, minutes: float) -> Results:
    """Peak of a process that spots one long segment."""
    from .memory import make_recording, peak_of_spotting

    video = folder / "long.mp4"
    _apart(make_recording, sample, video, minutes)
    return {f"peak of {minutes:g} min MiB": _apart(peak_of_spotting, video).peak}


def measure_jobs(sample: Path) -> Results:
    """Frames a second and core with one process on one core, and with a process on each core: wall and processor."""
    cores = len(os.sched_getaffinity(0))
    alone, alone_ms = _apart(_rate, sample, 1)
    together, together_ms = _apart(_rate, sample, cores)
    return {
        "one core frames/s": alone,
        f"--jobs {cores} frames/s": together,
        "--jobs efficiency per core": together / (cores * alone),
        "one core processor ms/frame": alone_ms,
        f"--jobs {cores} processor ms/frame": together_ms,
        "--jobs processor efficiency": alone_ms / together_ms,
    }


def _rate(sample: Path, cores: int) -> tuple[float, float]:
    """(frames a second, processor milliseconds a frame) of `cores` processes on as many cores, their start included."""
    import resource

    from facespot.spotting.many import spot_many

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    start = time.perf_counter()
    batch = spot_many([sample] * (CLIPS_PER_CORE * cores), jobs=cores, device="cpu")
    wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    frames = sum(result.timebase.n_frames for result in batch)
    return frames / wall, 1e3 * (used.ru_utime + used.ru_stime) / frames


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure_accuracy(sample: Path, truth: Path, rendered: tuple[Path, ...]) -> Results:
    """F1 on the bundled clip and on folders that `rendered.py` made."""
    from facespot.extract.pipeline import extract_features
    from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, evaluate
    from facespot.spotting.simulation.recording import read_truth
    from facespot.spotting.spotter import Spotter

    from .rendered import judged

    spotter = Spotter.load(device="cpu")
    found, _ = spotter.intervals(extract_features(sample))
    results = {"bundled clip F1": evaluate([VideoIntervals(read_truth(truth), found)]).overall.f1}
    for folder in rendered:
        total = sum((counts for _, counts in judged(folder, spotter)), Evaluation())
        results[f"{folder.name} F1"] = total.overall.f1
    return results


def measure_others(sample: Path, windows: int) -> Results:
    """The literal reading of the papers, and MediaPipe's own graph, on the bundled clip."""
    from facespot.extract.face.mediapipe_graphs import quiet_native
    from facespot.extract.features import SNIPPET_STEPS
    from facespot.extract.reading.video import open_video

    from .literal import clocked, faces_of, mediapipe_mesh, tvl1_snippets

    faces = faces_of(sample, SNIPPET_STEPS + windows)
    start = time.perf_counter(), time.process_time()
    tvl1_snippets(faces, windows)
    tvl1 = clocked(start, windows)
    with open_video(sample) as stream:
        pictures = [frame.develop().rgb for frame, _ in zip(stream.pending(), range(MESH_FRAMES), strict=False)]
    with quiet_native():
        list(mediapipe_mesh(pictures[:2]))
        start = time.perf_counter(), time.process_time()
        list(mediapipe_mesh(pictures))
        mesh = clocked(start, len(pictures))
    return {
        "per-window TV-L1 processor ms/frame": tvl1.processor_ms,
        "per-window TV-L1 wall ms/frame": tvl1.wall_ms,
        "MediaPipe's mesh processor ms/frame": mesh.processor_ms,
        "MediaPipe's mesh wall ms/frame": mesh.wall_ms,
    }


def markdown(run: Mapping[str, Any]) -> str:
    """A run as a page shows it."""
    about = run["run"]
    lines = [
        f"{about['date'][:10]}, commit `{about['commit']}`, {about['machine']}, {about['cores']} cores, "
        f"load {about['load_before']} before:",
        "",
        "| measured | |",
        "|---|---|",
        *(f"| {name} | {_short(value)} |" for name, value in run["results"].items()),
    ]
    return "\n".join(lines)


def _short(value: float) -> str:
    """Three figures, and no fewer before the point than there are."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def measured(
    folder: Path, sample: Path, truth: Path, runs: int, minutes: float, windows: int, rendered: tuple[Path, ...]
) -> Iterator[tuple[str, Results]]:
    """(what, results) of each part in turn. Memory first, and while this process is still small: the peak of a child
    counts from what its parent holds."""
    clip = _apart(recode, sample, folder / "start.mp4", SIZES["512x512"], START_SECONDS)
    yield "start", measure_start(clip, runs)
    yield "memory", measure_memory(sample, folder, minutes)
    videos = {name: recode(sample, folder / f"{name}.mp4", size) for name, size in SIZES.items()}
    yield "speed", measure_speed(videos, runs)
    if hasattr(os, "sched_setaffinity"):
        yield "jobs", measure_jobs(sample)
    yield "accuracy", measure_accuracy(sample, truth, rendered)
    yield "others", measure_others(sample, windows)


@click.command(help=__doc__)
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="write the run here")
@click.option("--markdown", "as_markdown", is_flag=True, help="print it as a page shows it")
@click.option("--runs", default=3, show_default=True, help="of what is repeated")
@click.option("--minutes", default=1.0, show_default=True, help="length of the recording whose memory is measured")
@click.option("--windows", default=2, show_default=True, help="windows of TV-L1, some seconds each")
@click.option(
    "--rendered", type=click.Path(exists=True, file_okay=False, path_type=Path), multiple=True, help="from rendered.py"
)
def main(
    path: Path | None, as_markdown: bool, runs: int, minutes: float, windows: int, rendered: tuple[Path, ...]
) -> None:
    run: dict[str, Any] = {"run": describe(), "results": {}}
    samples = files("facespot.samples")
    with (
        tempfile.TemporaryDirectory() as folder,
        as_file(samples / "astronaut.mp4") as sample,
        as_file(samples / "astronaut.truth.csv") as truth,
    ):
        for name, results in measured(Path(folder), sample, truth, runs, minutes, windows, rendered):
            run["results"] |= {key: round(value, 4) for key, value in results.items()}
            click.echo(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in results.items()), err=True)
    run["run"]["load_after"] = round(os.getloadavg()[0], 2)
    if path is not None:
        path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    click.echo(markdown(run) if as_markdown else json.dumps(run, indent=2))


if __name__ == "__main__":
    main()
