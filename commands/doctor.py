"""`spot doctor`: what is wrong with an installation, and what to do about it."""

import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import one_line
from ..version import __version__
from .console import Console, reporting
from .diagnosis import (
    Finding,
    check_face_models,
    check_loading,
    check_opencv,
    check_packages,
    check_python,
    check_weights,
    tested_pins,
)
from .diagnosis_of_machine import check_cache, check_disk, check_memory

if TYPE_CHECKING:
    from ..processes import Headway

_TEST_SECONDS = 2.0  # of the bundled clip, in which the brows go up
_TEST_PATIENCE_S = 120.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@reporting
def doctor(as_json: bool) -> None:
    """Check the installation, and say what to do where something is wrong.

    Ends with a test: two seconds of the bundled clip are spotted. The exit code is 1 if anything is broken; what is
    only a warning does not count.
    """
    findings = diagnose()
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_json:
        import json

        document = {"facespot": __version__, "broken": len(broken), "checks": [f.to_dict() for f in findings]}
        click.echo(json.dumps(document, indent=2))
    else:
        console = Console()
        rows = [[finding.check, finding.state, finding.found] for finding in findings]
        console.table(["check", "state", "found"], rows, left=["check", "state", "found"])
        for finding in findings:
            if finding.advice:
                console.say(f"{finding.check}: {finding.advice}")
        warnings = sum(finding.state == "warning" for finding in findings)
        console.say(f"{len(broken)} broken, {warnings} warnings" if broken or warnings else "all is well")
    sys.exit(1 if broken else 0)


def diagnose() -> list[Finding]:
    """Every check, the cheap ones first; the test runs in any case, since what looks wrong may work."""
    pins = tested_pins()
    return [
        check_python(),
        *check_packages(pins),
        check_opencv(pins),
        *check_loading(pins),
        check_weights(),
        check_face_models(),
        check_cache(),
        *check_disk(),
        check_memory(),
        check_spotting(),
    ]


@dataclass(frozen=True)
class _Tested:
    """What the test found, and how long it took: in all, and once everything was loaded."""

    frames: int
    expressions: int
    seconds: float
    again_s: float


def check_spotting() -> Finding:
    """Are two seconds of the bundled clip spotted? In a process of its own, which a broken library may take down."""
    from ..processes import run_jobs

    advice = "see the lines above; if all of them are ok, report it with the output of: spot doctor --json"
    try:
        with tempfile.TemporaryDirectory() as folder, as_file(files("facespot.samples") / "astronaut.mp4") as sample:
            job = (sample, Path(folder) / "test.mp4")
            (end,) = run_jobs(_spot_start_of, [job], 1, patience_s=_TEST_PATIENCE_S)
    except Exception as error:
        return Finding("self test", "broken", _line(error), advice)
    if end.error is not None:
        return Finding("self test", "broken", _line(end.error), advice)
    tested: _Tested = end.value
    speed = f"{tested.frames} frames in {tested.seconds:.1f} s, then {tested.frames / tested.again_s:.0f} a second"
    if not tested.expressions:
        return Finding("self test", "broken", f"the raised brows of the clip are not found; {speed}", advice)
    return Finding("self test", "ok", f"found the raised brows; {speed}")


def _spot_start_of(job: tuple[Path, Path], headway: "Headway") -> _Tested:
    """Spots the first seconds of a clip, which are copied to another file, twice."""
    start = time.perf_counter()
    from ..spotting.spotter import spot

    source, clip = job
    _copy_start(source, clip)
    result = spot(clip, device="cpu", progress=headway)
    loaded = time.perf_counter()
    spot(clip, device="cpu", progress=headway)
    frames = result.timebase.n_frames
    return _Tested(frames, len(result.spots), loaded - start, time.perf_counter() - loaded)


def _copy_start(source: Path, clip: Path) -> None:
    """The packets of the first `_TEST_SECONDS`, without decoding them."""
    import av

    with av.open(str(source)) as container, av.open(str(clip), "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is None or packet.dts * stream.time_base >= _TEST_SECONDS:
                break
            packet.stream = copy
            target.mux(packet)


def _line(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")
