"""SIGKILL, full disks, read-only folders, two at once, wrong clocks: python benchmarks/robustness/kills.py [STAGE...]

Each stage of the work is done in a process of its own, which is killed at random moments, or has no room. Afterwards no
file under a final name may be half-written, and the same work done again must end with the bytes of undisturbed work:
no lock in its way, nothing left over in its folder or in the temporary one. POSIX; full disks are small file systems in
memory where those may be mounted (by root), else a limit on the size of files.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

import click
from facespot.benchmarks.robustness.stages import JOURNAL, STAGES, Stage, answered
from facespot.errors import FacespotError

DONE, REFUSED, FAULT = 0, 3, 4
_KILLED_AFTER_S = 600.0
_YEAR_S = 365 * 86400


def start(stage: Stage, folder: Path, before: Callable[[], None] = lambda: None) -> int:
    """The work in a process of its own, whose number is returned. before: called in it, first."""
    process = os.fork()
    if process:
        return process
    code = FAULT
    try:
        os.setsid()
        before()
        stage.work(folder)
        code = DONE
    except (FacespotError, OSError):
        code = REFUSED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(process: int) -> int:
    """Its exit code, or minus the signal; one that hangs is killed."""
    deadline = time.monotonic() + _KILLED_AFTER_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return -signal.SIGALRM


def tree(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, hidden ones included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Trial:
    """One stage in a scratch folder of its own. faults: what was found wrong, in words."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name, self.stage = name, STAGES[name]
        self.folder, self.temporary = scratch / "work", scratch / "tmp"
        self.temporary.mkdir(parents=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.temporary)
        self.faults: list[str] = []
        self.stage.load()
        start_s = time.monotonic()
        if ended(start(self.stage, self.folder)) != DONE:
            raise click.ClickException(f"{name} does not end by itself")
        self.seconds = time.monotonic() - start_s
        self.expected = tree(self.folder)
        shutil.rmtree(self.folder)

    def killed(self, rng: Random) -> bool:
        """Once, and taken up again; False where it had ended before the kill."""
        moment = rng.uniform(0, self.seconds)
        process = start(self.stage, self.folder)
        time.sleep(moment)
        os.killpg(process, signal.SIGKILL) if _leads(process) else os.kill(process, signal.SIGKILL)
        code = ended(process)
        what = f"killed after {moment:.2f} of {self.seconds:.2f} s"
        self._look(what)
        if rng.random() < 0.5:  # the machine's clock was set meanwhile
            shift = rng.choice((-10, 10)) * _YEAR_S
            for path in self.folder.rglob("*"):
                os.utime(path, (time.time() + shift,) * 2)
        self._again(what)
        return code == -signal.SIGKILL

    def without_room(self, share: float, mounted: bool) -> None:
        """On a disk that holds this share of what the work needs, and again with room."""
        sizes = [len(data) for data in self.expected.values()]
        what = f"with room for {100 * share:.0f} %"
        self.folder.mkdir()
        if mounted:
            # Every file takes whole pages, and folders take one.
            whole = sum(-(-size // 4096) + 2 for size in sizes) * 4096
            _mount(self.folder, f"size={max(int(share * whole), 4096)}")
            code = ended(start(self.stage, self.folder))
        else:
            limit = int(share * max(sizes))
            code = ended(start(self.stage, self.folder, lambda: _limit_files(limit)))
        if code not in (DONE, REFUSED):
            self.faults.append(f"{what}: ended with {code}")
        self._look(what)
        if mounted:
            _mount(self.folder, "remount,size=1g")
        self._again(what, mounted)

    def read_only(self) -> None:
        self.folder.mkdir()
        _mount(self.folder, "size=1g,ro")
        code = ended(start(self.stage, self.folder))
        if code != REFUSED:
            self.faults.append(f"in a read-only folder: ended with {code}")
        _unmount(self.folder)
        shutil.rmtree(self.folder)

    def without_temporary_room(self) -> None:
        """The folder of temporary files holds a single page."""
        _mount(self.temporary, "size=4k")
        code = ended(start(self.stage, self.folder))
        if code not in (DONE, REFUSED):
            self.faults.append(f"with a full temporary folder: ended with {code}")
        if left := list(self.temporary.iterdir()):
            self.faults.append(f"with a full temporary folder: left in it: {left}")
        if self.folder.exists():
            self._look("with a full temporary folder")
        _unmount(self.temporary)
        self._again("with a full temporary folder")

    def two_at_once(self) -> None:
        codes = [ended(process) for process in [start(self.stage, self.folder) for _ in range(2)]]
        if DONE not in codes or set(codes) - {DONE, REFUSED}:
            self.faults.append(f"two at once: ended with {codes}")
        self._again("two at once")

    def wrong_clock(self) -> None:
        """The time of day goes back by an hour at every look at it."""
        looks = iter(range(1, 1 << 30))
        now = time.time

        def backwards() -> None:
            time.time = lambda: now() - 3600 * next(looks)

        code = ended(start(self.stage, self.folder, backwards))
        if code != DONE:
            self.faults.append(f"with a clock that goes back: ended with {code}")
        self._again("with a clock that goes back")

    def _look(self, what: str) -> None:
        """Whether anything under a final name is not what it will be."""
        for name, data in tree(self.folder).items() if self.folder.exists() else ():
            hidden = any(part.startswith(".") for part in Path(name).parts)
            if not hidden and Path(name).name not in self.stage.growing and data != self.expected.get(name):
                self.faults.append(f"{what}: {name} is half-written")
        if self.name == "labelling" and not self.expected[JOURNAL].startswith(answered(self.folder)):
            self.faults.append(f"{what}: the journal is not the beginning of what it will be")

    def _again(self, what: str, mounted: bool = False) -> None:
        code = ended(start(self.stage, self.folder))
        if code != DONE:
            self.faults.append(f"{what}: the work done again ended with {code}")
        found = tree(self.folder)
        for name in sorted(found.keys() | self.expected.keys()):
            if found.get(name) != self.expected.get(name):
                state = "missing" if name not in found else "left over" if name not in self.expected else "other bytes"
                self.faults.append(f"{what}: afterwards {name}: {state}")
        if left := list(self.temporary.iterdir()):
            self.faults.append(f"{what}: left in the temporary folder: {left}")
        if mounted:
            _unmount(self.folder)
        shutil.rmtree(self.folder)


def _leads(process: int) -> bool:
    """Whether it leads a group of its own already."""
    try:
        return os.getpgid(process) == process
    except ProcessLookupError:
        return False


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def may_mount(folder: Path) -> bool:
    folder.mkdir()
    try:
        _mount(folder, "size=4k")
    except (OSError, subprocess.CalledProcessError):
        return False
    _unmount(folder)
    return True


@click.command(help=__doc__)
@click.argument("stages", nargs=-1, type=click.Choice(list(STAGES)))
@click.option("--kills", default=10, show_default=True, help="Of each stage.")
@click.option("--shares", default=5, show_default=True, help="Full disks of as many sizes.")
@click.option("--seed", default=0, show_default=True)
def main(stages: tuple[str, ...], kills: int, shares: int, seed: int) -> None:
    faults = []
    click.echo("| stage | files, KiB | killed at work | full disks | others | faults |\n|---|---|---|---|---|---|")
    for name in stages or STAGES:
        # Not where the stage before was told to put its temporary files.
        os.environ.pop("TMPDIR", None)
        tempfile.tempdir = None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            rng = Random(f"{seed} {name}")
            mounts = may_mount(Path(scratch) / "mount")
            trial = Trial(name, Path(scratch))
            hit = sum(trial.killed(rng) for _ in range(kills))
            for number in range(shares):
                trial.without_room((number + 0.5) / shares, mounts)
            if mounts:
                trial.read_only()
                trial.without_temporary_room()
            trial.two_at_once()
            trial.wrong_clock()
        size = sum(map(len, trial.expected.values())) / 1024
        others = "read-only, temporary files, two at once, clock" if mounts else "two at once, clock"
        full = f"{shares} ({'file system' if mounts else 'limit'})"
        counts = f"{len(trial.expected)}, {size:.0f} | {hit} of {kills} | {full} | {others} | {len(trial.faults)}"
        click.echo(f"| {name} | {counts} |")
        faults += [f"{name}, {fault}" for fault in trial.faults]
    for fault in faults:
        click.echo(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
