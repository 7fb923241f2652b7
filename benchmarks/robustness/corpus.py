"""Every recording of `recordings.py` through `spot`: python benchmarks/robustness/corpus.py [--only WORD]

One process reads them all, one after the other, as `spot` would: what is judged is its exit code, what it says, and
that it ends. A row that does not end as expected is marked, and makes the script fail. Linux.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from click.testing import CliRunner
from facespot.benchmarks.robustness.recordings import DAMAGED, FOUND, NO_FACE, NO_VIDEO, TOO_SHORT, Recording, corpus
from facespot.benchmarks.robustness.watched import Watched, watch

MOST_MIB = 1536


@dataclass(frozen=True)
class Row:
    """What became of one recording. told: the line that matters. wrong: why it is not as expected, "" if it is."""

    recording: Recording
    exit_code: int
    told: str
    seen: Watched
    wrong: str

    def markdown(self, base_mib: float) -> str:
        expected = "0 and a warning, or 4 to 6" if self.recording.expected == DAMAGED else str(self.recording.expected)
        told = self.told.replace("|", "/")
        got = f"{self.exit_code}" + (f" **{self.wrong}**" if self.wrong else "")
        return (
            f"| {self.recording.what} | {expected} | {got} | {told} | {self.seen.processor_s:.1f} "
            f"| {max(self.seen.peak_mib - base_mib, 0):.0f} |"
        )


def run(recording: Recording, folder: Path) -> Row:
    """One recording, made, spotted and judged in an empty folder."""
    from facespot.cli import main as cli

    output = folder / "out"
    path = recording.make(folder)
    before = sorted(folder.iterdir())
    # As a name alone would be given, so that a leading dash is one.
    words = ["run", *recording.options, "--device", "cpu", "--cache", "none", "-o", str(output), "--", str(path)]
    seen = watch(lambda: CliRunner().invoke(cli, words), output)
    done = seen.value
    lines = [line for line in done.output.replace(str(folder), "").splitlines() if line.strip()]
    wrong = ""
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        wrong = f"raised {done.exception!r}"
    elif "please report" in done.output or "Traceback" in done.output:
        wrong = "a fault of facespot's own"
    elif done.exit_code not in _allowed(recording):
        wrong = f"expected {recording.expected}"
    elif recording.expected == DAMAGED and done.exit_code == FOUND and "damaged:" not in done.output:
        wrong = "not said to be damaged"
    elif recording.words.lower() not in done.output.lower():
        wrong = f"does not say {recording.words!r}"
    elif seen.outside:
        wrong = f"wrote {', '.join(seen.outside)}"
    elif seen.grown_mib > MOST_MIB:
        wrong = f"took {seen.grown_mib:.0f} MiB"
    elif sorted(p for p in folder.iterdir() if p != output) != before:
        wrong = "left something beside the recording"
    elif done.exit_code == FOUND and not list(output.glob("*.spots.csv")):
        wrong = "wrote no table"
    elif done.exit_code != FOUND and output.exists() and any(output.iterdir()):
        wrong = "left something in the output folder"
    return Row(recording, done.exit_code, _telling(lines, recording), seen, wrong)


def _allowed(recording: Recording) -> tuple[int, ...]:
    """Exit codes."""
    return (FOUND, NO_VIDEO, NO_FACE, TOO_SHORT) if recording.expected == DAMAGED else (recording.expected,)


def _telling(lines: list[str], recording: Recording) -> str:
    """The line of an error, or else the first warning, or else what was found."""
    marked = [line for line in lines if line.startswith("spot: ")]
    chosen = (marked or lines or [""])[0]
    if recording.words:
        chosen = next((line for line in marked if recording.words.lower() in line.lower()), chosen)
    text = chosen.removeprefix("spot: error: ").removeprefix("spot: ").encode("utf-8", "replace").decode()
    # Without the name of the recording, which is in every line.
    return text.split(": ", 1)[-1][:160]


@click.command(help=__doc__)
@click.option("--only", default="", help="recordings with this in their description")
@click.option("--table", type=click.Path(path_type=Path), help="write the table, as Markdown, here")
def main(only: str, table: Path | None) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        # One beforehand: what all of them need is loaded, and libraries have written their own caches.
        (first := Path(scratch) / "first").mkdir()
        run(next(corpus()), first)
        base_mib = watch(lambda: None, Path(scratch)).peak_mib
        for number, recording in enumerate(r for r in corpus() if only.lower() in r.what.lower()):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            row = run(recording, folder)
            shutil.rmtree(folder)
            rows.append(row)
            click.echo(f"{'WRONG ' if row.wrong else ''}{row.markdown(base_mib)}")
    wrong = sum(bool(row.wrong) for row in rows)
    total = sum(row.seen.processor_s for row in rows)
    peak = max(row.seen.peak_mib for row in rows)
    summary = (
        f"{len(rows)} recordings, {len(rows) - wrong} as expected; {total:.0f} s of processor time; "
        f"most memory {peak:.0f} MiB, {base_mib:.0f} of it before the first"
    )
    if table is not None:
        head = (
            "| recording | expected exit | exit | what is said | processor s | MiB more |\n|---|---|---|---|---|---|\n"
        )
        table.write_text(
            head + "".join(f"{row.markdown(base_mib)}\n" for row in rows) + f"\n{summary}\n", encoding="utf-8"
        )
    click.echo(summary)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
