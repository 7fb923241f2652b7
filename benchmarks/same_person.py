"""How often a person is known again after a hard cut, and how often somebody else is taken for them.

    python benchmarks/same_person.py --faces portraits/ --takes 10

Every face is filmed in several takes, each in a size, pose, light, white balance, sharpness and compression of its own
and with expressions, by the renderer of `spotting.simulation`. A take is what the scan sees of one shot: four looks, a
quarter second apart. `subjects.join` is asked whether a take shows the person of one earlier take, or of four, drawn
at random. Missed: takes of one picture that are not joined. False: takes of different people that are.

The faces are the astronaut of scikit-image and all that are found in the pictures of a folder. Pictures named
`name.jpg`, `name@2.jpg` are of one person on different days, which is counted apart.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
import numpy as np
from facespot.errors import FacespotError
from facespot.extract.face.appearance import appearance
from facespot.extract.face.detection import Detection, FaceCheck, FaceFinder
from facespot.extract.face.square import square_crop
from facespot.extract.face.subjects import SCAN_PERIOD_S, join
from facespot.extract.face.tracks import Track
from facespot.extract.timebase import CLOCK_HZ
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.camera import SceneOptions
from facespot.spotting.simulation.recording import fit_to_still
from facespot.spotting.simulation.render import Camera
from facespot.spotting.simulation.still import PICTURES, Still, load_still
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.simulation.warp import FaceWarp, HeadPose

LOOKS = 4
SMALLEST_FACE = 45.0  # pixels of a detection; below it a picture is no portrait
_CANVAS = SceneOptions(size=(480, 480), face_width=0.2)  # on which a still is animated before it is filmed
_FACE_PER_IOD = 2.2
_CUT_S = 100.0  # time of the take after the cut
_DRAWS = 5  # of earlier takes, for each later one
_ASIDE = 10_000.0  # pixels; so far away that no likeness in place is asked for


@dataclass(frozen=True, eq=False)
class Look:
    """A face found in one picture: the detection, the picture in gray, and the view of the face."""

    detection: Detection
    gray: np.ndarray
    view: np.ndarray | None


def stills(folder: Path | None) -> Iterator[tuple[str, Still]]:
    """Every face with its name, of which the part before "@" says whose it is."""
    from skimage.data import astronaut

    pictures = {"astronaut": astronaut()}
    for path in sorted(folder.iterdir()) if folder else []:
        if path.suffix.lower() in PICTURES:
            pictures[path.stem] = np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])
    with FaceFinder() as finder:
        for name, picture in pictures.items():
            boxes = sorted((d.box for d in finder.whole(picture) if d.box[2] >= SMALLEST_FACE), key=lambda box: box[0])
            for number, (x, y, width) in enumerate(boxes):
                shown = f"{name}/{number}" if len(boxes) > 1 else name
                try:
                    yield shown, load_still(square_crop(picture, x, y, 4.5 * width)[0])
                except FacespotError as error:
                    click.echo(f"{shown}: {error}", err=True)


def film_take(still: Still, camera: Camera, warp: FaceWarp, rng: np.random.Generator) -> list[np.ndarray]:
    """Pictures of the looks at one take, (S, S, 3) uint8."""
    performance = perform(draw_person(rng), round(4 * CLOCK_HZ), rng)
    moves = fit_to_still(still, performance.displacement)
    width = float(np.exp(rng.uniform(np.log(50), np.log(280))))
    yaw, pitch, roll = np.deg2rad(rng.normal(0, [12, 6, 4]))
    gain, gamma, white = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.08, 3))
    slope_x, slope_y = rng.normal(0, 0.5, 2)
    blur, noise, quality = rng.uniform(0.2, 1.0), rng.uniform(0.5, 4.0), int(rng.uniform(50, 95))
    side = round(_CANVAS.size[0] * width / _FACE_PER_IOD / camera.still.iod)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = gain * np.exp(slope_x * x + slope_y * y)[..., None] * white
    pictures = []
    for tick in np.round((0.5 + SCAN_PERIOD_S * np.arange(LOOKS)) * CLOCK_HZ).astype(int):
        turn = np.array([yaw, pitch]) + np.deg2rad(rng.normal(0, [4, 3]))
        pose = HeadPose(*rng.normal(0, 0.03, 2), roll, 1.0, *turn)
        picture = warp.render(moves[tick], pose, camera.view(0, 0, 0, 1), _CANVAS.size)
        shrinks = side < _CANVAS.size[0]
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        lit = cv2.GaussianBlur(255 * (picture / 255.0) ** gamma * light, (0, 0), blur)
        recorded = np.clip(lit + rng.normal(0, noise, lit.shape), 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", recorded, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pictures.append(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return pictures


def looks_at(pictures: list[np.ndarray], finder: FaceFinder, check: FaceCheck) -> list[Look]:
    """What the scan sees of a take; pictures without a face are left out."""
    looks = []
    for picture in pictures:
        found = max(finder.whole(picture), key=lambda d: d.box[2], default=None)
        read = None if found is None else check(picture, found.box)
        if read is not None:
            looks.append(Look(found, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), appearance(*read)))
    return looks


def track_of(looks: list[Look], start_s: float, shift: float) -> Track:
    """The track of a take that begins at a time, moved aside by some pixels."""
    track = Track(is_face=True)
    for number, look in enumerate(looks):
        box = look.detection.box + np.array([shift, 0.0, 0.0])
        track.add(start_s + SCAN_PERIOD_S * number, replace(look.detection, box=box), look.gray)
        track.add_view(look.view)
    return track


def are_joined(person: list[Track], after: Track) -> bool:
    people = [[*person]]
    join(after, people, [_CUT_S])
    return len(people) == 1


def measure(takes: dict[str, list[list[Look]]], n_before: int, rng: np.random.Generator) -> dict[str, tuple[int, int]]:
    """How many takes are joined to a face of which `n_before` others were seen, and of how many: for each kind."""
    counts = dict.fromkeys(("same", "other day", "different"), (0, 0))
    before = {name: [track_of(t, 10.0 * i, 0.0) for i, t in enumerate(seen)] for name, seen in takes.items()}
    after = {name: [track_of(t, _CUT_S, _ASIDE) for t in seen] for name, seen in takes.items()}
    for name, other in itertools.product(takes, takes):
        one = name.split("@")[0] == other.split("@")[0]
        kind = "same" if name == other else "other day" if one else "different"
        for (number, track), _ in itertools.product(enumerate(after[other]), range(_DRAWS)):
            known = [t for i, t in enumerate(before[name]) if name != other or i != number]
            chosen = [known[i] for i in rng.permutation(len(known))[:n_before]]
            joined, pairs = counts[kind]
            counts[kind] = joined + are_joined(chosen, track), pairs + 1
    return counts


@click.command(help=__doc__)
@click.option("--faces", type=click.Path(exists=True, file_okay=False, path_type=Path), help="folder of face pictures")
@click.option("--takes", default=10, show_default=True, type=click.IntRange(5, 10), help="of every face")
@click.option("--seed", default=0, show_default=True)
def main(faces: Path | None, takes: int, seed: int) -> None:
    filmed: dict[str, list[list[Look]]] = {}
    with FaceFinder() as finder, FaceCheck() as check:
        for number, (name, still) in enumerate(stills(faces)):
            rng = np.random.default_rng([seed, number])
            camera = Camera(still, _CANVAS)
            warp = FaceWarp(camera.still)
            seen = [looks_at(film_take(still, camera, warp, rng), finder, check) for _ in range(takes)]
            filmed[name] = [looks for looks in seen if looks]
    people = len({name.split("@")[0] for name in filmed})
    click.echo(f"{len(filmed)} faces of {people} people, {takes} takes each")
    click.echo("takes before the cut   missed joins        false joins         other days joined")
    for n_before in (1, 4):
        counts = measure(filmed, n_before, np.random.default_rng(seed))
        missed = counts["same"][1] - counts["same"][0], counts["same"][1]
        cells = (missed, counts["different"], counts["other day"])
        click.echo(f"{n_before:<23}" + "".join(f"{_share(*cell):<20}" for cell in cells).rstrip())


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % of {whole}" if whole else "-"


if __name__ == "__main__":
    main()
