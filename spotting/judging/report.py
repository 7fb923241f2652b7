"""An evaluation as data: everything a paper's results section needs, of any list of recordings, as JSON and CSV."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...files import replacing
from .agreement import apex_error, bootstrap_f1, cohen_kappa, f1_over_iou, iou_histogram
from .metrics import Counts, Evaluation, VideoIntervals, evaluate, evaluate_by_subject, validate

CLASSES = ("macro", "micro", "overall")
SUBJECT_COLUMNS = ("subject", "class", "tp", "fp", "fn", "precision", "recall", "f1")


def evaluation_report(recordings: Sequence[VideoIntervals], unit: str = "ticks", seed: int = 0) -> dict[str, Any]:
    """JSON-serialisable; values that do not exist (an apex error without hits) are None.

    Keys: recordings, subjects (their numbers), unit (of the intervals and apex errors), counts (by class: tp, fp, fn,
    precision, recall, f1), f1_95 (by class: bootstrap interval over subjects), apex_error (of hits whose apexes are
    both known), iou_histogram (annotations by their best IoU), f1_over_iou, kappa (per unit, over the kappa_videos
    whose length is known; None without any), by_subject ("" are the videos that nobody says whose they are, which
    count and are no subject). Raises ValueError as `validate` does.
    """
    validate(recordings)
    by_subject = evaluate_by_subject(recordings)
    apex = apex_error(recordings)
    bins, edges = iou_histogram(recordings)
    timed = [r for r in recordings if r.n_ticks is not None]
    return {
        "recordings": len(recordings),
        "subjects": len(by_subject.keys() - {""}),
        "unit": unit,
        "counts": _classes(evaluate(recordings)),
        "f1_95": {name: list(ends) for name, ends in bootstrap_f1(recordings, seed=seed).items()},
        "apex_error": {
            "hits": apex.n,
            "mean": _finite(apex.mean_ticks),
            "median": _finite(apex.median_ticks),
            "mean_relative": _finite(apex.mean_relative),
        },
        "iou_histogram": {"edges": edges.tolist(), "counts": bins.tolist()},
        "f1_over_iou": [
            {"iou": iou, **{name: getattr(evaluation, name).f1 for name in CLASSES}}
            for iou, evaluation in f1_over_iou(recordings).items()
        ],
        "kappa": _finite(cohen_kappa(timed)),
        "kappa_videos": len(timed),
        "by_subject": {subject: _classes(evaluation) for subject, evaluation in by_subject.items()},
    }


def write_report(report: dict[str, Any], json_path: Path) -> Path:
    """The report as JSON, and its table of subjects as CSV under the same name, whose path is returned."""
    with replacing(json_path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    csv_path = json_path.with_suffix(".csv")
    with replacing(csv_path) as temporary:
        temporary.write_text(render_subjects(report), encoding="utf-8", newline="")
    return csv_path


def render_subjects(report: dict[str, Any]) -> str:
    """CSV with the columns `SUBJECT_COLUMNS`: three lines per subject, then three of subject "all"."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(SUBJECT_COLUMNS)
    for subject, classes in [*report["by_subject"].items(), ("all", report["counts"])]:
        for name in CLASSES:
            values = classes[name]
            ratios = (f"{values[key]:.4f}" for key in ("precision", "recall", "f1"))
            table.writerow([subject, name, values["tp"], values["fp"], values["fn"], *ratios])
    return text.getvalue()


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report as a small table of text, for a terminal."""
    lines = ["class     TP    FP    FN  precision  recall  F1      95 % of F1"]
    for name in CLASSES:
        c, (low, high) = report["counts"][name], report["f1_95"][name]
        lines.append(
            f"{name:8}{c['tp']:4d}{c['fp']:6d}{c['fn']:6d}  {c['precision']:9.4f}{c['recall']:8.4f}  {c['f1']:.4f}  "
            f"{low:.4f}..{high:.4f}"
        )
    apex = report["apex_error"]
    if apex["hits"]:
        lines.append(
            f"apex error of {apex['hits']} hits: mean {apex['mean']:.2f}, median {apex['median']:.2f} {report['unit']}"
        )
    if report["kappa"] is not None:
        some = "" if report["kappa_videos"] == report["recordings"] else f", over {report['kappa_videos']} videos"
        lines.append(f"Cohen's kappa per {report['unit'].removesuffix('s')}{some}: {report['kappa']:.4f}")
    lines.append(f"{report['recordings']} videos of {report['subjects']} subjects; intervals of F1 resample subjects")
    return lines


def _classes(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    def of(c: Counts) -> dict[str, float]:
        return {"tp": c.tp, "fp": c.fp, "fn": c.fn, "precision": c.precision, "recall": c.recall, "f1": c.f1}

    return {name: of(getattr(evaluation, name)) for name in CLASSES}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
