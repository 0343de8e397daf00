"""A whole training run on a set: measure, train, measure again, write down what happened."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from negset.batching.reading import OpenedPlan
from negset.batching.renewing import InputsBy, check_refresh
from negset.encoders.encoder import Encoder, Role
from negset.errors import ConfigError
from negset.evaluation import MEASURES, Measurement, Metrics, measure_encoder, restrict_metrics, split_queries
from negset.mining.positives import known_pairs
from negset.progress import Progress, no_progress
from negset.store import make_folder, write_durably
from negset.training.binding import check_needs
from negset.training.events import require_events
from negset.training.examples import SetTables, build_examples
from negset.training.label_bias import LabelBias, run_label_bias
from negset.training.launch import choose_backend, launch_training
from negset.training.loop import Training, clear_run
from negset.training.model import StaticStart, Trainable, open_model
from negset.training.option_files import by_content
from negset.training.pair_losses import write_pair_stats
from negset.training.records import PAIRS, Tell, open_journals, tell_nobody
from negset.training.reports.domain_gate import require_domains
from negset.training.reports.health import Health, draw_sample, examine
from negset.training.reports.run_files import (
    DEPTH,
    HISTORY,
    METRICS,
    PAIR_STATS,
    PER_QUERY,
    count_trained,
    first_results,
    write_records,
)
from negset.training.signals import Taught, count_taught, read_signals
from schemas.train import TrainConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot


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
    single documents does not help it there. It is None where all share one. `health` is what a sample says of the model
    before and after; empty for fewer than two held-out queries. `label_bias` compares the trained model's loss over the
    set's negatives with that over all documents; None where these are too many or no query has a negative. `taught`
    counts the queries that the teacher scored; None without one.
    """

    model_folder: Path
    held_out: Comparison
    novel: Comparison | None
    trained: int
    left_out: Mapping[str, int]
    health: tuple[Health, ...]
    label_bias: LabelBias | None
    taught: Taught | None
    training: Training
    device: str
    threads: int
    seconds: float

    def numbers(self) -> dict[str, object]:
        """Give what is written to metrics.json."""
        return {
            "held_out": self.held_out.numbers(),
            "novel": None if self.novel is None else self.novel.numbers(),
            "health": dict(zip(("before", "after"), (one.numbers() for one in self.health), strict=False)),
            "label_bias": None if self.label_bias is None else self.label_bias.numbers(),
            "teacher": None if self.taught is None else self.taught.numbers(),
            "queries_trained": self.trained,
            "queries_left_out": dict(self.left_out),
            "steps": len(self.training.history),
            "resumed_at": self.training.resumed_at,
            "checkpoints_passed_over": list(self.training.passed_over),
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
    *,
    guide: Encoder | None = None,
    tell: Tell = tell_nobody,
    plan: OpenedPlan | None = None,
    inputs_by: InputsBy | None = None,
) -> TrainReport:
    """Train the encoder of `config` on the set in `tables`; measure it on the held-out split before and after.

    The batches are those of `plan`, or in a random order. `inputs_by` is what the plan is made of, where it is to be
    made anew during the run.

    Writes the model, metrics.json, history.jsonl (a line for each step), queries.jsonl (a line for each held-out
    query), pair_stats.parquet (the loss of each pair in each epoch) and the tables of `reports.run_files` to `folder`.
    `guide` is asked by a loss that needs one; `tell` hears the figures of each step. A query whose normalised text is
    one of the held-out split's is not trained on.
    Raises ConfigError where both splits are one, one of them has nothing to train on or to measure, the loss needs
    what is not configured, the plan cannot be renewed, or a domain that the report is to check does not exist.
    """
    begun = time.monotonic()
    _check(config)
    require_domains(snapshot.queries(), config.held_out, config.report)
    make_folder(folder)
    held_out_texts = split_queries(snapshot, config.held_out).get_column("text")
    known = known_pairs(snapshot)
    examples = build_examples(
        tables, known, held_out_texts, split=config.split, negatives=config.negatives, in_batch=config.in_batch
    )
    signals = read_signals(tables, examples, config, guide, folder)
    model = open_model(config, start)
    choose_backend(model.device, config)
    progress("measure", 0, 2)
    before = measure(model, snapshot, config.held_out)
    sample = draw_sample(before.run, snapshot.qrels().filter(pl.col("relevance") >= 1), snapshot, DEPTH)
    health = [examine(model, sample)] if sample else []
    progress("measure", 1, 2)
    training = launch_training(
        model,
        start,
        examples,
        config,
        folder,
        progress,
        signals=signals,
        tell=tell,
        plan=plan,
        inputs_by=inputs_by,
    )
    after = measure(model, snapshot, config.held_out)
    health += [examine(model, sample)] if sample else []
    progress("measure", 2, 2)
    measured = before.metrics.per_query.get_column("query_id").to_list()
    novel = novel_queries(known, examples.query_ids, measured)
    report = TrainReport(
        model_folder=training.model_folder,
        held_out=Comparison(before.metrics, after.metrics),
        novel=compare(before.metrics, after.metrics, novel),
        trained=len(examples.query_ids),
        left_out=examples.left_out,
        health=tuple(health),
        taught=None if signals.teacher is None else count_taught(signals.teacher, examples, config),
        label_bias=run_label_bias(model, examples, config),
        training=training,
        device=str(model.device),
        threads=torch.get_num_threads(),
        seconds=time.monotonic() - begun,
    )
    write_records(folder, first_results(before.run, after.run), count_trained(examples))
    write_pair_stats(open_journals(folder)[PAIRS].read(), tables, examples, folder / PAIR_STATS)
    write_report(report, folder)
    clear_run(folder)
    return report


def _check(config: TrainConfig) -> None:
    """Raise ConfigError where `config` can be seen to be wrong before anything is read or encoded."""
    if config.split == config.held_out:
        message = (
            f"train.split and train.held_out are both {config.split!r}: measure on queries that are not trained on"
        )
        raise ConfigError(message)
    check_needs(config)
    check_refresh(config)
    by_content(config)
    require_events(config)


def measure(model: Trainable, snapshot: "Snapshot", split: str) -> Measurement:
    """Measure `model` on the queries of `split` over the whole corpus."""
    return measure_encoder(partial(_encode, model, "query"), partial(_encode, model, "document"), snapshot, split)


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
    steps = [figures.numbers() for figures in report.training.history]
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
