"""Thousands of mutated recordings, caches, tables and checkpoints: python benchmarks/robustness/fuzz.py OUT

Every case is read in the way a user's command reads it. An error that says what to do is an answer. A finding is
anything else: another exception, a process that dies, a minute of processor time, a silence, two gigabytes, a
file written outside the case's folder, damage taken for whole. Cases follow from the seed and their number alone, and
what is in OUT/cases.jsonl is not done again. Linux.
"""

import json
import shutil
import signal
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import click
from facespot.benchmarks.robustness.inputs import KINDS, WrongAcceptError, mutated
from facespot.benchmarks.robustness.watched import limit_memory, watch
from facespot.errors import FacespotError, LostProcessError
from facespot.processes import Headway, origin, run_jobs

MOST_MIB = 2048
MOST_PROCESSOR_S = 60.0
PATIENCE_S = 1800.0  # that nothing is heard; long, since it also passes while other work has the machine
CASES = "cases.jsonl"


@dataclass(frozen=True)
class Case:
    """What became of one mutated file. outcome: "read", "refused", or a kind of finding. detail: in words."""

    number: int
    kind: str
    name: str
    outcome: str
    detail: str
    processor_s: float
    peak_mib: float

    @property
    def finding(self) -> bool:
        return self.outcome not in ("read", "refused")


def kind_of(number: int, media: int) -> str:
    """The first cases are recordings; the others are shared out by the weights of `KINDS`."""
    if number < media:
        return "media"
    order = [name for name, kind in KINDS.items() for _ in range(kind.weight)]
    return order[(number - media) * 37 % len(order)]


def write_seeds(folder: Path, kinds: set[str]) -> None:
    """The whole files of these kinds, once: some are encoded, and not the same in every process."""
    for name in sorted(kinds):
        if (folder / name).exists():
            continue
        making, made = folder / f"{name}.making", folder / f"{name}.made"
        for leftover in (making, made):
            shutil.rmtree(leftover, ignore_errors=True)
            leftover.mkdir(parents=True)
        for file, data in KINDS[name].seeds(making).items():
            (made / file).write_bytes(data)
        shutil.rmtree(making)
        made.rename(folder / name)


@cache
def seeds_of(kind: str, folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / kind).iterdir())}


@cache
def _limit_once() -> None:
    """After what is loaded once, whose address space is none of a case's."""

    # Twice the mark, since address space that nobody touches takes no memory.
    limit_memory(2 * MOST_MIB)


def try_case(number: int, *, seed: int, media: int, folder: Path) -> Case:
    """One case in a folder of its own, which is kept where it is a finding."""
    kind = kind_of(number, media)
    seeds = seeds_of(kind, folder / "seeds")
    name, data = mutated(kind, seeds, Random(f"{seed} {number}"))
    place = folder / f"case{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / name).write_bytes(data)
    seen = watch(partial(KINDS[kind].use, place / name, seeds), place)
    outcome, detail = "read", ""
    error = seen.error
    if error is not None:
        detail = f"{type(error).__name__}: {error}"
        outcome = "refused" if isinstance(error, FacespotError | OSError) else "exception"
        if isinstance(error, WrongAcceptError):
            outcome = "wrong accept"
        elif outcome == "exception":
            detail = f"{origin(error)}: {detail}"
        elif "\n" in str(error):
            outcome = "message of several lines"
    if seen.outside:
        outcome, detail = "written outside", ", ".join(seen.outside)
    if seen.grown_mib > MOST_MIB:
        outcome, detail = "memory", f"{seen.grown_mib:.0f} MiB; {detail}"
    case = Case(number, kind, name, outcome, detail[:300], round(seen.processor_s, 3), round(seen.peak_mib))
    if case.finding:
        (place / name).write_bytes(data)
    else:
        shutil.rmtree(place)
    return case


def try_limited(number: int, headway: Headway | None = None, **options: Any) -> Case:
    """The same in a process that is there for such cases alone: its memory is limited from now on."""
    _limit_once()
    # Ends the process, in whatever loop it is.
    signal.setitimer(signal.ITIMER_PROF, MOST_PROCESSOR_S)
    return try_case(number, **options)


def run(folder: Path, seed: int, media: int, others: int, only: str | None = None, again: bool = False) -> list[Case]:
    """All cases, those of earlier runs included; `again`: but for their findings, which are done once more."""
    record = folder / CASES
    done = [Case(**json.loads(line)) for line in record.read_text().splitlines()] if record.exists() else []
    if again:
        done = [case for case in done if not case.finding]
        record.write_text("".join(json.dumps(asdict(case)) + "\n" for case in done), encoding="utf-8")
    left = sorted(set(range(media + others)) - {case.number for case in done})
    left = [number for number in left if only in (None, kind_of(number, media))]
    write_seeds(folder / "seeds", {kind_of(number, media) for number in left})
    task = partial(try_limited, seed=seed, media=media, folder=folder)
    with record.open("a", encoding="utf-8") as file:
        for finished in run_jobs(task, left, 1, patience_s=PATIENCE_S):
            case = finished.value
            if finished.error is not None:
                if not isinstance(finished.error, LostProcessError):
                    raise finished.error  # of this script
                number = left[finished.number]
                silent = "no headway" in str(finished.error)
                outcome = "hang" if silent else "death"
                case = Case(number, kind_of(number, media), "", outcome, str(finished.error)[:300], 0.0, 0.0)
            done.append(case)
            file.write(json.dumps(asdict(case)) + "\n")
            file.flush()
            if case.finding:
                click.echo(f"{case.number} {case.kind} {case.name}: {case.outcome}: {case.detail}")
    return done


def table(cases: list[Case]) -> str:
    """Markdown: a row per kind."""
    lines = [
        "| input | cases | read | refused | findings | processor s | most s of one | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        of = [case for case in cases if case.kind == kind]
        if of:
            counts = Counter(case.outcome for case in of)
            bad = sum(case.finding for case in of)
            spent = [case.processor_s for case in of]
            peak = max(case.peak_mib for case in of)
            lines.append(
                f"| {kind} | {len(of)} | {counts['read']} | {counts['refused']} | {bad} | {sum(spent):.0f} "
                f"| {max(spent):.1f} | {peak:.0f} |"
            )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
@click.option("--media", default=2000, show_default=True, help="Mutated recordings.")
@click.option("--others", default=4000, show_default=True, help="Mutated files of all other kinds.")
@click.option("--only", type=click.Choice(list(KINDS)), help="Of these cases only those of one kind.")
@click.option("--again", is_flag=True, help="Do the findings of earlier runs again, to see whether they are mended.")
def main(out: Path, seed: int, media: int, others: int, only: str | None, again: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    cases = run(out.resolve(), seed, media, others, only, again)
    click.echo(table(cases))
    for outcome, count in Counter(case.outcome for case in cases if case.finding).most_common():
        click.echo(f"{outcome}: {count}")


if __name__ == "__main__":
    main()
