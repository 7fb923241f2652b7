"""Make the bundled sample clip: the astronaut of scikit-image, animated, with six expressions and four blinks.

python benchmarks/make_sample.py samples
"""

from pathlib import Path

import click
import numpy as np
from facespot.extract.timebase import CLOCK_HZ
from facespot.spotting.simulation.anatomy import Person, draw_person, roi_means
from facespot.spotting.simulation.camera import SceneOptions
from facespot.spotting.simulation.expressions import envelope
from facespot.spotting.simulation.recording import film, write_truth
from facespot.spotting.simulation.stage import Event, Performance
from facespot.spotting.simulation.still import load_still
from skimage import data

SECONDS = 14.5
# Onset in seconds; rise, hold and fall in ticks; action units; largest movement of a region in IOD.
SCRIPT = (
    (1.5, (8, 14, 14), ("AU1", "AU2"), 0.12),
    (4.3, (4, 1, 6), ("AU12",), 0.06),
    (6.2, (9, 12, 12), ("AU4",), 0.08),
    (8.7, (4, 0, 7), ("AU1", "AU2"), 0.05),
    (10.3, (10, 22, 16), ("AU12", "AU6"), 0.12),
    (13.1, (5, 0, 7), ("AU4",), 0.04),
)
BLINKS = (0.7, 3.5, 8.1, 12.5)
SCENE = SceneOptions(
    head_shift=0.012, head_roll=0.5, head_turn=0.8, head_seconds=1.2, gain_drift=0.01, gamma_drift=0.0,
    read_noise=0.8, shot_noise=1.2,
)  # fmt: skip
VISIBLE = 0.1  # an expression lasts as long as its intensity is above this


def _both_sides(person: Person, units: tuple[str, ...]) -> np.ndarray:
    return sum(person.fields[unit, side] for unit in units for side in ("left", "right"))


def act(rng: np.random.Generator) -> Performance:
    """The script, played."""
    n = round(SECONDS * CLOCK_HZ)
    person = draw_person(rng)
    displacement = np.zeros((n, *person.shape.shape))
    intensity, events = np.zeros(n), []
    for onset_s, (rise, hold, fall), units, amplitude in SCRIPT:
        start = round(onset_s * CLOCK_HZ)
        curve = envelope(start, start + rise, hold, start + rise + hold + fall - 1, n, rng)
        shape = _both_sides(person, units)
        shape *= amplitude / np.linalg.norm(roi_means(shape)[:, :2], axis=1).max()
        displacement += curve[:, None, None] * shape
        intensity = np.maximum(intensity, curve)
        visible = np.flatnonzero(curve > VISIBLE)
        kind = "micro" if visible.size < 0.5 * CLOCK_HZ else "macro"
        events.append(Event(int(visible[0]), int(curve.argmax()), int(visible[-1]), kind, amplitude))
    for at in BLINKS:
        start = round(at * CLOCK_HZ)
        curve = envelope(start, start + 3, 1, start + 8, n, rng)
        displacement += curve[:, None, None] * _both_sides(person, ("AU43",))
    return Performance(displacement, events, intensity, np.zeros(n, bool))


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    acting, sensing = np.random.default_rng(2).spawn(2)
    recording = film(load_still(data.astronaut()), act(acting), folder / "astronaut.mp4", SCENE, sensing, crf=25.0)
    write_truth(folder / "astronaut.truth.csv", recording.events, recording.timebase)


if __name__ == "__main__":
    main()
