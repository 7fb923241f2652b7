"""The encoder of GIM at the published size: ours for inference beside the authors' forward, in one run.

python benchmarks/encoder.py [--snippets N] [--rounds R] [--threads 1,2]

The authors encode all snippets of a video at once, and so does their forward here (`authors_forward.py`); it is given
small pieces as well, which it never gets from them, to tell what is arithmetic and what is memory. All take turns and
the fastest round of each counts, in processor time, which a busy machine inflates least, and in wall time. The floor
is the arithmetic that is left at the rate of one large product of matrices, measured between the rounds.
"""

import time
from collections.abc import Callable

import click
import torch
from authors_forward import AuthorsSpotFormer
from facespot.models.folded import FoldedSpotFormer
from facespot.models.spotformer import SpotFormer, SpotFormerConfig, from_authors_state
from torch.utils.flop_counter import FlopCounterMode

PIECE = 16  # snippets
_SQUARE = 1024


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def operations(encode: Callable[[torch.Tensor], torch.Tensor], snippets: torch.Tensor) -> float:
    """Floating-point operations (in 1e9) a snippet of all its products."""
    # In-place products are missing from torch's own table; it hands over shapes.
    in_place = {torch.ops.aten.addmm_: lambda out, a, b, **_: 2 * a[0] * a[1] * b[1]}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        encode(snippets)
    return counter.get_total_flops() / 1e9 / snippets.shape[1]


def encoders() -> tuple[AuthorsSpotFormer, FoldedSpotFormer]:
    """The authors' forward and our encoder for inference, of the same random weights at the published size."""
    torch.manual_seed(0)
    theirs = AuthorsSpotFormer().eval()
    ours = SpotFormer(SpotFormerConfig.paper()).eval()
    ours.load_state_dict(from_authors_state(theirs.state_dict()))
    return theirs, FoldedSpotFormer(ours)


@click.command(help=__doc__)
@click.option("--snippets", default=512, show_default=True, help="in the video")
@click.option("--rounds", default=3, show_default=True)
@click.option("--threads", default="1,2", show_default=True)
@torch.inference_mode()
def main(snippets: int, rounds: int, threads: str) -> None:
    theirs, ours = encoders()
    x = torch.randn(1, snippets, 17, 10, 2)
    a, b = torch.rand(2, _SQUARE, _SQUARE)
    runs: dict[str, Callable[[], object]] = {
        "authors, whole video": lambda: theirs(x),
        f"authors, {PIECE} at a time": lambda: [theirs(piece) for piece in x.split(PIECE, dim=1)],
        "ours": lambda: ours(x),
        "product": lambda: a @ b,
    }
    work = {name: operations(encode, x[:, :PIECE]) for name, encode in (("authors", theirs), ("ours", ours))}
    click.echo(f"operations a snippet: authors {work['authors']:.3f}, ours {work['ours']:.3f} GFLOP")
    difference = (theirs(x[:, :PIECE]) - ours(x[:, :PIECE])).abs().max()
    click.echo(f"largest difference of an output: {difference:.1e}")
    for count in map(int, threads.split(",")):
        torch.set_num_threads(count)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                taken[name].append(timed(run))
        best = {name: [min(column) for column in zip(*pairs, strict=True)] for name, pairs in taken.items()}
        rate = 2e-9 * _SQUARE**3 / best.pop("product")[0]
        click.echo(f"{count} thread(s); products run at {rate:.0f} GFLOP a second of processor time:")
        for name, (processor, wall) in best.items():
            click.echo(
                f"  {name:24} {1e3 * processor / snippets:6.2f} ms processor, {1e3 * wall / snippets:6.2f} ms wall"
            )
        whole, mine = best["authors, whole video"], best["ours"]
        floor = 1e3 * work["ours"] / rate
        click.echo(
            f"  ratio {whole[0] / mine[0]:.2f} in processor time, {whole[1] / mine[1]:.2f} in wall time; "
            f"floor {floor:.2f} ms, of which ours takes {1e3 * mine[0] / snippets / floor:.2f} times as much"
        )


if __name__ == "__main__":
    main()
