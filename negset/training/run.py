"""A whole training run on a set: measure, train, measure again, write down what happened."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from negset.batching.following import training_plan
from negset.batching.reading import OpenedPlan
from negset.encoders.encoder import Role
from negset.errors import ConfigError
from negset.evaluation import MEASURES, Metrics, evaluate_encoder, restrict_metrics, split_queries
from negset.mining.positives import known_pairs
from negset.progress import Progress, no_progress
from negset.store import write_durably
from negset.training.batches import PlannedBatches
from negset.training.examples import SetTables, build_examples
from negset.training.loop import Training, train_encoder
from negset.training.model import StaticStart, Trainable, open_model
from schemas.config import TrainConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

METRICS: Final = "metrics.json"
HISTORY: Final = "history.jsonl"
PER_QUERY: Final = "queries.jsonl"


@dataclass(frozen=True)
class Comparison:
    """The same queries measured before and after training."""

    before: Metrics
    after: Metrics

    def numbers(self) -> dict[str, object]:
        """Give both, and the mean paired gain in nDCG@10 with its standard error over queries."""
        gains = (
            self.after.per_query.get_column("ndcg_at_10") - self.before.per_query.get_column("ndcg_at_10")
        ).to_numpy()
        error = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
        gain = {"ndcg_at_10": round(float(gains.mean()), 6), "standard_error": round(error, 6)}
        return {"before": self.before.numbers(), "after": self.after.numbers(), "gain": gain}


@dataclass(frozen=True)
class TrainReport:
    """What a training run did.

    `novel` are the held-out queries that share no positive with a trained query: what an encoder learned about
    single documents does not help it there. It is None where all share one.
    """

    model_folder: Path
    held_out: Comparison
    novel: Comparison | None
    trained: int
    left_out: Mapping[str, int]
    training: Training
    device: str
    threads: int
    seconds: float

    def numbers(self) -> dict[str, object]:
        """Give what is written to metrics.json."""
        return {
            "held_out": self.held_out.numbers(),
            "novel": None if self.novel is None else self.novel.numbers(),
            "queries_trained": self.trained,
            "queries_left_out": dict(self.left_out),
            "steps": len(self.training.losses),
            "resumed_at": self.training.resumed_at,
            "device": self.device,
            "threads": self.threads,
            "seconds": round(self.seconds, 1),
        }


def run_training(
    tables: SetTables,
    snapshot: "Snapshot",
    config: TrainConfig,
    folder: Path,
    start: StaticStart | None = None,
    progress: Progress = no_progress,
    plan: OpenedPlan | None = None,
) -> TrainReport:
    """Train the encoder of `config` on the set in `tables`; measure it on the held-out split before and after.

    The batches are those of `plan`, or in a random order.

    Writes the model, metrics.json, history.jsonl (a line for each step) and queries.jsonl (a line for each
    held-out query) to `folder`. A query whose normalised text is one of the held-out split's is not trained on.
    Raises ConfigError where both splits are one, or one of them has nothing to train on or to measure.
    """
    if config.split == config.held_out:
        message = (
            f"train.split and train.held_out are both {config.split!r}: measure on queries that are not trained on"
        )
        raise ConfigError(message)
    begun = time.monotonic()
    held_out_texts = split_queries(snapshot, config.held_out).get_column("text")
    known = known_pairs(snapshot)
    examples = build_examples(
        tables, known, held_out_texts, split=config.split, negatives=config.negatives, in_batch=config.in_batch
    )
    model = open_model(config, start)
    progress("measure", 0, 2)
    before = measure(model, snapshot, config.held_out)
    progress("measure", 1, 2)
    by = None if plan is None else PlannedBatches(training_plan(plan, examples, in_batch=config.in_batch), plan.steps)
    training = train_encoder(model, examples, config, folder, progress, by)
    after = measure(model, snapshot, config.held_out)
    progress("measure", 2, 2)
    novel = novel_queries(known, examples.query_ids, before.per_query.get_column("query_id").to_list())
    report = TrainReport(
        model_folder=training.model_folder,
        held_out=Comparison(before, after),
        novel=compare(before, after, novel),
        trained=len(examples.query_ids),
        left_out=examples.left_out,
        training=training,
        device=str(model.device),
        threads=torch.get_num_threads(),
        seconds=time.monotonic() - begun,
    )
    write_report(report, folder)
    return report


def measure(model: Trainable, snapshot: "Snapshot", split: str) -> Metrics:
    """Measure `model` on the queries of `split` over the whole corpus."""
    return evaluate_encoder(partial(_encode, model, "query"), partial(_encode, model, "document"), snapshot, split)


def novel_queries(known: pl.DataFrame, trained: Sequence[str], held_out: Sequence[str]) -> list[str]:
    """Give those of `held_out` whose known positives are none of a query in `trained`."""
    seen = known.filter(pl.col("query_id").is_in(list(trained))).select("doc_id")
    shared = known.join(seen, on="doc_id", how="semi").get_column("query_id").unique()
    return sorted(set(held_out) - set(shared.to_list()))


def compare(before: Metrics, after: Metrics, query_ids: Sequence[str]) -> Comparison | None:
    """Compare two measurements on `query_ids` alone; None where there are none."""
    former, latter = restrict_metrics(before, query_ids), restrict_metrics(after, query_ids)
    return None if former is None or latter is None else Comparison(former, latter)


def write_report(report: TrainReport, folder: Path) -> None:
    """Write the files of a run beside its model, metrics.json last."""
    borders = np.cumsum(report.training.steps_by_epoch)
    steps = [
        {"step": step, "epoch": int(np.searchsorted(borders, step)) + 1, "loss": loss}
        for step, loss in enumerate(report.training.losses, start=1)
    ]
    names = list(MEASURES)
    queries = report.held_out.before.per_query.join(
        report.held_out.after.per_query, on="query_id", suffix="_after", maintain_order="left"
    ).rename({name: f"{name}_before" for name in names})
    write_durably(folder / HISTORY, _lines(steps))
    write_durably(folder / PER_QUERY, _lines(queries.to_dicts()))
    write_durably(folder / METRICS, f"{json.dumps(report.numbers(), indent=2)}\n".encode())


def _lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _encode(model: Trainable, role: Role, texts: Sequence[str]) -> NDArray[np.float32]:
    return model.encode(texts, role)
