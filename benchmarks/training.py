"""Training throughput: our loop against the trainer of sentence-transformers, on the same pairs, batch, loss and model.

    python -m benchmarks.training [--quick] [--model FOLDER] [--threads 1 2] [--pairs 3]

Both train a static encoder (StaticEmbedding) and a transformer from one start with InfoNCE, which they call
MultipleNegativesRankingLoss, over a query, a positive and a negative: texts of drawn words, their lengths and
frequencies those of a retrieval collection. Without --model the transformer has the size of MiniLM and random weights;
with --quick it is tiny. Each number of threads has a process of its own, in which runs alternate; ours is timed from
the texts to the saved model, theirs from train() to the saved model, without the making of the trainer. The last line
is one JSON object: medians of samples (queries) a second, and of the ratio of neighbouring runs by the clock and by
processor time, which a busy machine disturbs less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pairs import Texts, draw_texts, examples_of, transformer_start

WIDTH = 256


@dataclass(frozen=True)
class Size:
    """How much is trained on, and the shape of the transformer that is made where none is given."""

    words: int
    static_queries: int
    transformer_queries: int
    layers: int
    hidden: int
    heads: int


FULL = Size(words=30_000, static_queries=16_384, transformer_queries=512, layers=6, hidden=384, heads=12)
QUICK = Size(words=2_000, static_queries=1_024, transformer_queries=128, layers=2, hidden=32, heads=2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny models and few texts, two pairs of runs")
    parser.add_argument("--model", default="", help="folder of a sentence-transformers model, such as all-MiniLM-L6-v2")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pairs", type=int, default=0, help="pairs of runs (3; 2 with --quick)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--queries", type=int, default=0, help="queries in a run (16384 static, 512 transformer)")
    parser.add_argument("--kinds", nargs="+", choices=("static", "transformer"), default=["static", "transformer"])
    parser.add_argument("--inner", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.pairs = options.pairs or (2 if options.quick else 3)
    if options.inner:
        print(json.dumps({kind: _compare(kind, options) for kind in options.kinds}))
        return
    found = {f"{threads}_threads": _in_process(threads) for threads in options.threads}
    size = "quick" if options.quick else "full"
    model = Path(options.model).name if options.model else "random"
    print(json.dumps({"size": size, "transformer": model, "batch": options.batch, "cpus": os.cpu_count(), **found}))


def _in_process(threads: int) -> dict[str, object]:
    """Run this benchmark in a process whose libraries all have so many threads."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"))
    environment = {**os.environ, **{name: str(threads) for name in limits}, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--inner", str(threads)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    print(f"{threads} threads: {run.stdout.splitlines()[-1]}", flush=True)
    found: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return found


def _compare(kind: str, options: argparse.Namespace) -> dict[str, object]:
    """Let both train by turns, the one and the other first."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(options.inner)
    size = QUICK if options.quick else FULL
    queries = options.queries or (size.static_queries if kind == "static" else size.transformer_queries)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        start = _start(kind, size, options.model, place)
        runs: dict[str, Callable[[int, Path], Taken]] = {
            "ours": lambda count, out: _ours(kind, draw_texts(size.words, count), start, options.batch, out),
            "theirs": lambda count, out: _theirs(kind, draw_texts(size.words, count), start, options.batch, out),
        }
        taken: dict[str, list[Taken]] = {name: [] for name in runs}
        for run in runs.values():
            run(8, place / "warm")
        for pair in range(options.pairs):
            for name in sorted(runs, reverse=bool(pair % 2)):
                taken[name].append(runs[name](queries, place / f"{name}{pair}"))
    pairs = list(zip(taken["ours"], taken["theirs"], strict=True))
    ratios = [theirs.seconds / ours.seconds for ours, theirs in pairs]
    rates = {name: round(queries / statistics.median(one.seconds for one in own), 1) for name, own in taken.items()}
    return {
        **rates,
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(one, 3) for one in ratios],
        "processor_ratio": round(statistics.median(theirs.processor / ours.processor for ours, theirs in pairs), 3),
    }


@dataclass(frozen=True)
class Taken:
    """What a run took, by the clock and of the processor."""

    seconds: float
    processor: float


def _timed(run: Callable[[], object]) -> Taken:
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return Taken(time.perf_counter() - clock, time.process_time() - processor)


def _start(kind: str, size: Size, model: str, folder: Path) -> object:
    """Give what both train from: words and vectors, or the folder of a transformer."""
    from negset.training.model import StaticStart

    if kind == "transformer":
        return model or transformer_start(size.words, size.layers, size.hidden, size.heads, folder)
    embeddings = np.random.default_rng(5).normal(size=(size.words, WIDTH)).astype(np.float32)
    return StaticStart([f"w{word}" for word in range(1, size.words + 1)], embeddings)


def _ours(kind: str, texts: Texts, start: object, batch: int, out: Path) -> Taken:
    from negset.training.loop import train_encoder
    from negset.training.model import open_model
    from schemas.train import TrainConfig

    model = "static" if kind == "static" else str(start)
    config = TrainConfig(model=model, batch_size=batch, epochs=1, device="cpu", temperature=0.05)
    encoder = open_model(config, start if kind == "static" else None)  # type: ignore[arg-type]
    examples = examples_of(texts)
    return _timed(lambda: train_encoder(encoder, examples, config, out))


def _theirs(kind: str, texts: Texts, start: object, batch: int, out: Path) -> Taken:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(_folder(kind, start, out), device="cpu", local_files_only=True)
    if kind != "static":
        model.max_seq_length = min(256, model.max_seq_length)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(out / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=batch,
        learning_rate=5e-3 if kind == "static" else 2e-5,
        max_grad_norm=0.0 if kind == "static" else 1.0,
        use_cpu=True,
        report_to=[],
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
    )
    data = Dataset.from_dict({"query": texts.queries, "positive": texts.positives, "negative": texts.negatives})
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=data, loss=MultipleNegativesRankingLoss(model, scale=20.0)
    )

    def run() -> None:
        trainer.train()
        model.save(str(out / "model"), create_model_card=False)

    return _timed(run)


def _folder(kind: str, start: object, out: Path) -> str:
    """Give the folder of the start: of a static encoder it is written first, by what our own training starts from."""
    if kind != "static":
        return str(start)
    from negset.training.model import open_model
    from schemas.train import TrainConfig

    folder = out / "start"
    open_model(TrainConfig(), start).save(folder)  # type: ignore[arg-type]
    return str(folder)


if __name__ == "__main__":
    main()
