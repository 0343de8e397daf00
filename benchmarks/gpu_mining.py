"""Exact mining on a GPU: how much of the card's 16-bit product rate is reached, and whether the CPU agrees.

    python -m benchmarks.gpu_mining [--quick] [--queries 100000] [--documents 5000000] [--dimensions 768]

Vectors are random unit vectors that are drawn in chunks on the way, so that neither disk nor host memory bounds the
size; drawing is timed apart and left out. The bare product is torch.mm in float16 on the same device. Hits of a
20,000 x 200,000 sample are compared with those of the processor. `--quick` runs small sizes, on CPU tensors where
there is no GPU. Without a GPU the whole benchmark says so and measures nothing. The last line is one JSON object.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.vectors import generate
from negset.search import search_exact
from negset.sieve_torch import sieve

DEPTH = 100
_POOL = 1 << 16  # rows that are drawn once; longer corpora are made of shifted copies


@dataclass(frozen=True)
class Drawn:
    """Rows of unit vectors: a drawn block, turned by as many places as the number of the block."""

    block_ND: NDArray[np.float32]
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """Give (N, D)."""
        return self.rows, self.block_ND.shape[1]

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Read rows; a slice must lie in one block."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self.rows)
            number, first = divmod(start, len(self.block_ND))
            return np.roll(self.block_ND[first : first + stop - start], number, axis=1)
        return np.stack([np.roll(self.block_ND[row % len(self.block_ND)], row // len(self.block_ND)) for row in rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4,096 queries, 65,536 documents, 128 dimensions")
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--dimensions", type=int, default=768)
    options = parser.parse_args()
    if options.quick:
        options.queries, options.documents, options.dimensions = 4096, 1 << 16, 128
    if not torch.cuda.is_available() and not options.quick:
        print(json.dumps({"unmeasured": "no CUDA device; run it where there is one"}))
        return
    print(json.dumps({**measure(options), "agreement": agreement(options)}))


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Time the sieve and the bare product."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    queries_QD = generate(options.queries, options.dimensions, 3)
    rows = Drawn(generate(min(_POOL, options.documents), options.dimensions, 2), options.documents)
    sieve(queries_QD[:1024], Drawn(rows.block_ND, len(rows.block_ND)), DEPTH)  # warm up
    start = time.perf_counter()
    found = sieve(queries_QD, rows, DEPTH)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    for first in range(0, len(rows), 1 << 16):
        rows[first : first + (1 << 16)]
    drawing = time.perf_counter() - start
    operations = 2.0 * options.queries * options.documents * options.dimensions
    rate = product_rate(options, device)
    reached = operations / seconds
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu tensors"
    return {
        **{"device": name, "queries": options.queries, "documents": options.documents, "depth": DEPTH},
        "dimensions": options.dimensions,
        "seconds": round(seconds, 3),
        "seconds_of_drawing_alone": round(drawing, 3),
        "tflops": round(reached / 1e12, 2),
        "product_tflops": round(rate / 1e12, 2),
        "share_of_product": round(reached / rate, 3),
        "proposed_per_query": round(len(found.doc) / options.queries, 1),
        "given_up": len(found.given_up),
    }


def product_rate(options: argparse.Namespace, device: torch.device) -> float:
    """Time the bare product in 16 bits of a tile, in operations a second."""
    kind = torch.float16 if device.type == "cuda" else torch.bfloat16
    left = torch.randn(min(8192, options.queries), options.dimensions, device=device).to(kind)
    right = torch.randn(1 << 14, options.dimensions, device=device).to(kind)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        left @ right.T
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * left.shape[0] * right.shape[0] * options.dimensions / best


def agreement(options: argparse.Namespace) -> dict[str, object]:
    """Search a sample on the device and on the processor and compare the hits, scores too."""
    queries, documents = (1000, 20_000) if options.quick else (20_000, 200_000)
    queries_QD, documents_ND = generate(queries, options.dimensions, 5), generate(documents, options.dimensions, 4)
    depths = np.full(queries, DEPTH)
    device, processor = (search_exact(queries_QD, documents_ND, depths, name) for name in ("torch", "cpu"))
    same = all(np.array_equal(getattr(device, name), getattr(processor, name)) for name in ("query", "doc", "score"))
    return {"queries": queries, "documents": documents, "identical": same}


if __name__ == "__main__":
    main()
