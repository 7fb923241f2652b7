"""Score real, annotated clips: python benchmarks/real_clips.py FOLDER [--weights FILE]

FOLDER holds `clips/`, `annotations.csv` (one row per expression: file, clip, fps, frames, onset, apex, offset, type,
confidence; a clip without any has one row of type none) and `distractors.csv` (clip, start, end, note), frames 0-based
and inclusive. Prints a row per clip, what each false alarm was, the totals next to those of the geometry baseline, and
how well the weights tell where somebody is talking, of which the notes say "speech". Episodes of low confidence are
don't-care.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from facespot.errors import NoFaceError
from facespot.extract.features import FaceFeatures
from facespot.extract.pipeline import extract_features
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.spotter import Spotter

sys.path.insert(0, str(Path(__file__).parent))
from geometry_baseline import spot_by_geometry


@dataclass(frozen=True)
class Clip:
    """One annotated clip. features is None where no face was found."""

    name: str
    features: FaceFeatures | None
    truth: list[Interval]
    ignored: list[Interval]
    distractors: list[tuple[int, int, str]]
    seconds: float


def load_clips(folder: Path, cache: Path | None) -> list[Clip]:
    """Every annotated clip with its features and its annotations on the clock."""
    rows = pd.read_csv(folder / "annotations.csv")
    notes = pd.read_csv(folder / "distractors.csv")
    clips = []
    for name, group in rows.groupby("clip"):
        first = group.iloc[0]
        try:
            features = extract_features(folder / "clips" / first["file"], cache=cache)
        except NoFaceError:
            clips.append(Clip(str(name), None, [], [], [], float(first["frames"] / first["fps"])))
            continue
        tick = features.timebase.tick_of_frame
        last = features.timebase.n_frames - 1
        truth, ignored = [], []
        for row in group[group["type"] != "none"].itertuples():
            onset, apex, offset = (tick(min(int(f), last)) for f in (row.onset, row.apex, row.offset))
            (ignored if row.confidence == "low" else truth).append(Interval(onset, apex, offset, row.type))
        mine = notes[notes["clip"] == name]
        distractors = [(tick(min(int(r.start), last)), tick(min(int(r.end), last)), r.note) for r in mine.itertuples()]
        clips.append(Clip(str(name), features, truth, ignored, distractors, features.timebase.duration_s))
    return clips


def explain(alarm: Interval, clip: Clip) -> str:
    """What was going on there, as far as the annotators noted it."""
    missed = [t for t in clip.truth if alarm.iou(t) > 0.1]
    if missed:
        best = max(missed, key=alarm.iou)
        return f"part of {best.type} {best.onset}-{best.offset} (IoU {alarm.iou(best):.2f})"
    seen = [note for a, b, note in clip.distractors if min(b, alarm.offset) - max(a, alarm.onset) >= 0]
    return "; ".join(seen) or "nothing noted"


def report(clips: list[Clip], spotted: dict[str, list[Interval]], *, rows: bool) -> tuple[Evaluation, float]:
    """Print the table; returns the counts and the false alarms a minute on clips without expressions."""
    total, alarms, seconds = Evaluation(), 0, 0.0
    for clip in clips:
        judged = judge(VideoIntervals(clip.truth, spotted[clip.name], clip.ignored))
        counts = count(judged)
        total += counts
        if not clip.truth and not clip.ignored:
            alarms += len(judged.false_alarms)
            seconds += clip.seconds
        if rows:
            c = counts.overall
            click.echo(f"{clip.name:16s} found {c.tp:2d}  missed {c.fn:2d}  false {c.fp:2d}")
            for alarm in judged.false_alarms:
                place = f"{alarm.type} {alarm.onset}-{alarm.offset} ({alarm.confidence:.2f})"
                click.echo(f"    false {place}: {explain(alarm, clip)}")
            for miss in judged.missed:
                click.echo(f"    missed {miss.type} {miss.onset}-{miss.offset}")
    return total, 60 * alarms / seconds if seconds else 0.0


def summary(name: str, total: Evaluation, alarms: float) -> str:
    """One line: the totals, and the false alarms a minute on clips without expressions."""
    cells = [
        f"{kind} F1 {c.f1:.3f} (TP {c.tp} FP {c.fp} FN {c.fn})"
        for kind, c in (("overall", total.overall), ("macro", total.macro), ("micro", total.micro))
    ]
    return f"{name:20s} {'  '.join(cells)}  false alarms a minute without expressions {alarms:.1f}"


def judge_speaking(clips: list[Clip], speaking: dict[str, np.ndarray]) -> tuple[float, float]:
    """Precision and recall of the ticks at which the face is said to be talking (from 0.5 on), against the notes.

    speaking: (N,) probabilities by clip. Clips without a note of speech are silent throughout.
    """
    said, true, both = 0, 0, 0
    for clip in clips:
        if clip.name not in speaking:
            continue
        told = speaking[clip.name] >= 0.5
        noted = np.zeros(len(told), bool)
        for start, end, note in clip.distractors:
            noted[start : end + 1] |= "speech" in note.lower()
        said, true, both = said + told.sum(), true + noted.sum(), both + (told & noted).sum()
    return both / max(said, 1), both / max(true, 1)


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="other weights than the shipped ones")
@click.option("--min-confidence", type=float, help="instead of the weights' own")
@click.option("--cache", type=click.Path(path_type=Path), help="keep the extracted features here")
def main(folder: Path, weights: Path | None, min_confidence: float | None, cache: Path | None) -> None:
    clips = load_clips(folder, cache)
    spotter = Spotter.load(weights, "cpu")

    found: dict[str, list[Interval]] = {clip.name: [] for clip in clips}
    speaking: dict[str, np.ndarray] = {}
    for clip in clips:
        if clip.features is not None:
            found[clip.name], curves = spotter.intervals(clip.features, min_confidence)
            if curves.speaking is not None:
                speaking[clip.name] = curves.speaking
    total, alarms = report(clips, found, rows=True)
    baseline = {clip.name: [] if clip.features is None else spot_by_geometry(clip.features) for clip in clips}
    base_total, base_alarms = report(clips, baseline, rows=False)
    click.echo(summary("facespot", total, alarms))
    click.echo(summary("geometry baseline", base_total, base_alarms))
    if speaking:
        precision, recall = judge_speaking(clips, speaking)
        click.echo(f"talking              precision {precision:.2f}  recall {recall:.2f} (of ticks)")


if __name__ == "__main__":
    main()
