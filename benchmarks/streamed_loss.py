"""Loss and gradients of a batch so large that its logits could not be held: seconds and memory, as JSON.

    python -m benchmarks.streamed_loss [--queries 80000] [--dimensions 384] [--block 4096] [--loss info_nce peg]

Each loss is computed in a process of its own, so that peaks do not mix. Every query has `--known` known positives
beside its own, which are masked. `logits_gb` is what the matrix of logits alone would take in float32.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from negset.training.cells import Cells
from negset.training.objective import LossInputs, Moment, find_loss, loss_params


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=80_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--block", type=int, default=4096, help="0 for the matrix")
    parser.add_argument("--known", type=int, default=3)
    parser.add_argument("--loss", nargs="+", default=["info_nce", "peg"])
    parser.add_argument("--threads", type=int, default=0, help="0 for all")
    parser.add_argument("--alone", action="store_true", help="compute one loss in this process")
    return parser.parse_args()


def make_batch(queries: int, dimensions: int, known: int) -> LossInputs:
    """Give as many documents as queries, each the positive of one; vectors require gradients."""
    generator = torch.Generator().manual_seed(1)

    def draw() -> torch.Tensor:
        drawn = torch.randn(queries, dimensions, generator=generator)
        return torch.nn.functional.normalize(drawn).requires_grad_()

    rows = torch.arange(queries)
    steps = torch.arange(1, known + 1) * 7
    exceptions = torch.unique(rows[:, None] * queries + (rows[:, None] + steps) % queries)
    none = rows[:0]
    row_E, column_E = exceptions // queries, exceptions % queries
    return LossInputs(
        queries_BD=draw(),
        candidates_CD=draw(),
        target_B=rows,
        cells=Cells(queries, queries, True, row_E, column_E, none, none, torch.zeros(0)),
        query_row_B=rows,
        candidate_row_C=rows,
        query_key_B=rows,
        candidate_key_C=rows,
        temperature=0.05,
        moment=Moment(seed=1, epoch=0, epochs=1, step=50, steps=100),
    )


def peak_gb() -> float:
    """Give the most memory this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(arguments: argparse.Namespace, name: str) -> dict[str, object]:
    """Compute loss and gradients of one batch."""
    found = find_loss(name)
    params = loss_params(found, {"block": arguments.block} if arguments.block else {})
    inputs = make_batch(arguments.queries, arguments.dimensions, arguments.known)
    before, start = peak_gb(), time.perf_counter()
    losses_B = found.compute(inputs, params)
    forward = time.perf_counter() - start
    losses_B.mean().backward()
    seconds = time.perf_counter() - start
    products = arguments.queries**2 * arguments.dimensions * 2
    return {
        "loss": name,
        "queries": arguments.queries,
        "dimensions": arguments.dimensions,
        "block": arguments.block or None,
        "threads": torch.get_num_threads(),
        "mean_loss": round(losses_B.mean().item(), 6),
        "seconds_forward": round(forward, 2),
        "seconds": round(seconds, 2),
        "seconds_per_tflop_of_logits": round(seconds / (products / 1e12), 2),
        "peak_gb": round(peak_gb(), 3),
        "peak_gb_before": round(before, 3),
        "logits_gb": round(arguments.queries**2 * 4 / 2**30, 1),
    }


def main() -> None:
    """Measure each loss in a process of its own."""
    arguments = read_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.alone:
        print(json.dumps(measure(arguments, arguments.loss[0])))
        return
    for name in arguments.loss:
        again = [one for one in sys.argv[1:] if one not in arguments.loss and one != "--loss"]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.streamed_loss", *again, "--alone", "--loss", name], check=True
        )


if __name__ == "__main__":
    main()
