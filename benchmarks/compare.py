"""Two runs of the suite side by side, as ratios: python -m benchmarks.compare OLD.json NEW.json

Exit code 1 if anything is worse by more than --tolerance. Runs of other machines, or under load, compare badly: both
are said first.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

# Parts of a name of which more is better; of all else, less is.
_MORE_IS_BETTER = ("frames/s", "F1", "efficiency")
_ABOUT = ("commit", "date", "machine", "cores", "threads", "load_before", "load_after")


def gain(name: str, old: float, new: float) -> float | None:
    """How many times better the new figure is; None where there is nothing to divide by."""
    better, worse = (new, old) if any(part in name for part in _MORE_IS_BETTER) else (old, new)
    return better / worse if worse else None


def compare(old: Mapping[str, float], new: Mapping[str, float]) -> list[tuple[str, float, float, float | None]]:
    """(name, old, new, gain) of what both runs measured, in the order of the new one."""
    return [(name, old[name], value, gain(name, old[name], value)) for name, value in new.items() if name in old]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What the two runs say of themselves, a line each where it differs."""
    lines = [f"{name}: {old.get(name)} -> {new.get(name)}" for name in _ABOUT if old.get(name) != new.get(name)]
    before, after = old.get("versions", {}), new.get("versions", {})
    return lines + [f"{n}: {before.get(n)} -> {v}" for n, v in after.items() if before.get(n) != v]


@click.command(help=__doc__)
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tolerance", default=0.1, show_default=True, help="share by which a figure may be worse")
def main(old: Path, new: Path, tolerance: float) -> None:
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (old, new))
    for line in differences(before["run"], after["run"]):
        click.echo(line)
    rows = compare(before["results"], after["results"])
    width = max((len(name) for name, *_ in rows), default=0)
    worse = 0
    for name, was, now, times in rows:
        bad = times is not None and times < 1 - tolerance
        worse += bad
        ratio = "" if times is None else f"{times:6.2f} x"
        click.echo(f"{name:{width}}  {was:10.4g}  {now:10.4g}  {ratio}{'  worse' if bad else ''}")
    for name in sorted(before["results"].keys() ^ after["results"].keys()):
        click.echo(f"only in one of them: {name}")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
