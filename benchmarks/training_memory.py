"""Peak memory of one training step on one video at the published size, in a process of its own:
python benchmarks/training_memory.py [--ticks N] [--precision float32|bf16]

The video is simulated. Kept out of the tests because it takes minutes and gigabytes.
"""

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import click

FPS = 30
POINTS = 10  # expressions that are learnt from
_PER_MEBIBYTE = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss


def peak_of_training(ticks: int, precision: str) -> tuple[float, float, float, float]:
    """Peak resident memory in MiB before and after one step on a video of so many ticks, processor seconds, loss."""
    import numpy as np
    from facespot.extract.features import FaceFeatures
    from facespot.extract.timebase import Timebase
    from facespot.spotting.intervals import Point
    from facespot.spotting.learning.from_points import PointTrainer
    from facespot.spotting.learning.point_videos import PointVideo
    from facespot.spotting.learning.recipes import PointRecipe
    from facespot.spotting.simulation.anatomy import draw_person
    from facespot.spotting.simulation.sensor import observe
    from facespot.spotting.simulation.timeline import perform

    rng = np.random.default_rng(0)
    person = draw_person(rng)
    performance = perform(person, ticks, rng, busy=0.4, speech=0.0)
    seen = observe(person, performance, rng)
    features = FaceFeatures(seen.snippets, seen.landmarks, np.zeros(ticks, np.int32), Timebase(np.arange(ticks) / FPS))
    points = sorted({Point(e.apex, e.type) for e in performance.events})[:POINTS]
    recipe = replace(PointRecipe.preset("casme2", "journal", "paper"), batch=1, precision=precision)
    trainer = PointTrainer([PointVideo("twin", "s", "v", features, tuple(points))], recipe)
    trainer.epoch = sum(recipe.labels.stage_epochs)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE, time.process_time()
    loss = trainer.run_epoch().terms["total"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MEBIBYTE
    return before, peak, time.process_time() - start, loss


@click.command(help=__doc__)
@click.option("--ticks", default=4440, show_default=True, help="length of the video that is learnt from")
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32", show_default=True)
def main(ticks: int, precision: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as learner:
        before, peak, seconds, loss = learner.submit(peak_of_training, ticks, precision).result()
    click.echo(
        f"a step on {ticks} ticks at the published size, {precision}: peak {peak / 1024:.2f} GiB "
        f"({peak * 2**20 / 1e9:.2f} GB; {before:.0f} MiB before it), {seconds:.0f} s of processor time, "
        f"loss {loss:.4f}"
    )


if __name__ == "__main__":
    main()
