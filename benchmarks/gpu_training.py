"""Training on a GPU: samples a second, how much of the 16-bit product rate, what checkpoints cost, how large a batch.

    python -m benchmarks.gpu_training [--quick] [--steps 64] [--batch 512] [--queries 40000]

Encoders have the shapes of MiniLM and of BERT-base and random weights; all goes through our loop, cutting of words
included. Queries have 32 tokens, documents 128, a positive and a negative each. A rate is that of the steps by which a
long run is longer than a short one, so starting up and saving do not count. Operations are those of the products of
both ways, three times those forth; the rate that they are compared with is that of a large torch.mm in bfloat16.
Checkpoints are written eight times in a run and compared with a run without, by turns. The large batch is one step of
the loss `peg` on --queries queries, each with a negative: twice as many candidates, of which all but one are negatives.
`--quick` runs tiny shapes, on the processor where there is no GPU, to show that it works. Without a GPU the whole
benchmark says so and measures nothing. The last line is one JSON object.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.pairs import draw_texts, examples_of, transformer_start
from negset.training.loop import clear_run, train_encoder
from negset.training.model import open_model
from schemas.train import TrainConfig

NEVER = 10**9
TOKENS = (32, 128)
"""Of a query and of a document, the two special tokens included."""
_CHECKPOINTS = 8


@dataclass(frozen=True)
class Shape:
    """A transformer."""

    name: str
    layers: int
    hidden: int
    heads: int

    def operations(self, tokens: int, length: int) -> float:
        """Count what the products of both ways take for so many tokens in texts of this length."""
        blocks = self.layers * (12 * self.hidden**2)
        attention = self.layers * 2 * length * self.hidden
        return 3 * 2.0 * tokens * (blocks + attention)


SHAPES = (Shape("minilm", 6, 384, 12), Shape("bert_base", 12, 768, 12))
TINY = (Shape("tiny", 2, 32, 2),)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny shapes and few steps, without a GPU too")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--batch", type=int, default=512, help="queries in a step")
    parser.add_argument("--mini-batch", type=int, default=512, help="texts embedded at once in the large batch")
    parser.add_argument("--queries", type=int, default=40_000, help="queries of the large batch, each with a negative")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.quick:
        print(json.dumps({"unmeasured": "no CUDA device; run it where there is one"}))
        return
    if options.quick:
        options.steps, options.batch, options.mini_batch, options.queries = 8, 8, 16, 64
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = _product_rate(device, 256 if options.quick else 8192)
    with tempfile.TemporaryDirectory() as folder:
        found = {
            shape.name: _measure(shape, options, rate, device, Path(folder) / shape.name)
            for shape in (TINY if options.quick else SHAPES)
        }
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "the processor"
    print(json.dumps({"device": name, "batch": options.batch, "product_tflops": round(rate / 1e12, 2), **found}))


def _product_rate(device: torch.device, size: int) -> float:
    """Time a square product in bfloat16, in operations a second: the best of ten."""
    left, right = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    best = float("inf")
    for _ in range(10):
        begun = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return 2.0 * size**3 / best


def _measure(
    shape: Shape, options: argparse.Namespace, rate: float, device: torch.device, folder: Path
) -> dict[str, object]:
    start = transformer_start(2000, shape.layers, shape.hidden, shape.heads, folder)
    settings = {"model": start, "batch_size": options.batch, "epochs": 1, "device": device.type, "max_length": 256}
    plain = TrainConfig(**settings, checkpoint_every=NEVER)
    _seconds(plain, 2, folder / "warm")
    short, long = (_seconds(plain, steps, folder / f"plain{steps}") for steps in (2, 2 + options.steps))
    queries_per_second = options.steps * options.batch / max(long - short, 1e-9)
    done = shape.operations(TOKENS[0], TOKENS[0]) + 2 * shape.operations(TOKENS[1], TOKENS[1])
    return {
        "queries_per_second": round(queries_per_second, 1),
        "texts_per_second": round(3 * queries_per_second, 1),
        "tflops": round(queries_per_second * done / 1e12, 3),
        "share_of_product": round(queries_per_second * done / rate, 4),
        "checkpoints_cost": _checkpoint_cost(settings, options.steps, folder),
        "large_batch": _large_batch(settings, options, device, folder / "large"),
    }


def _seconds(config: TrainConfig, steps: int, folder: Path) -> float:
    """Time a run of so many steps."""
    rows = steps * config.batch_size
    texts = draw_texts(2000, rows, lengths=(TOKENS[0] - 2, TOKENS[1] - 2), spread=0.0)
    model, examples = open_model(config, None), examples_of(texts)
    begun = time.perf_counter()
    train_encoder(model, examples, config, folder)
    taken = time.perf_counter() - begun
    clear_run(folder)
    return taken


def _checkpoint_cost(settings: dict[str, object], steps: int, folder: Path) -> float:
    """Give by what share a run with checkpoints takes longer: the median of three neighbours."""
    often = TrainConfig(**settings, checkpoint_every=max(1, steps // _CHECKPOINTS))
    never = TrainConfig(**settings, checkpoint_every=NEVER)
    shares = []
    for pair in range(3):
        places = {id(often): folder / f"often{pair}", id(never): folder / f"never{pair}"}
        order = (often, never) if pair % 2 else (never, often)
        taken = {id(config): _seconds(config, steps, places[id(config)]) for config in order}
        shares.append(taken[id(often)] / taken[id(never)] - 1)
    return round(statistics.median(shares), 4)


def _large_batch(
    settings: dict[str, object], options: argparse.Namespace, device: torch.device, folder: Path
) -> dict[str, object]:
    """Take one step on a batch that no memory would hold at once."""
    config = TrainConfig(
        **{
            **settings,
            "batch_size": options.queries,
            "mini_batch": options.mini_batch,
            "loss": "peg",
            "loss_options": {"block": 4096},
            "checkpoint_every": NEVER,
        }
    )
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = _seconds(config, 1, folder)
    most = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return {
        "queries": options.queries,
        "negatives": 2 * options.queries - 1,
        "seconds": round(seconds, 1),
        "gpu_gib": None if most is None else round(most, 2),
    }


if __name__ == "__main__":
    main()
