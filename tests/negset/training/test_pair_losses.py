"""Losses of pairs: from a real run into the table, from the table into what judges pairs by them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset.mining.loss_history import weigh_pairs
from negset.mining.query_choice import read_pair_stats
from negset.training.examples import build_examples
from negset.training.pair_losses import pair_losses, write_pair_stats
from negset.training.records import PAIR
from negset.training.run import run_training
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
FAULTY = ("q2x4", "q5x7")


def one_positive_each(world):
    """Label each query with one document, of its topic but for the `FAULTY` ones; give the set of that."""
    labelled = world.qrels().sort("query_id", "doc_id").unique("query_id", keep="first", maintain_order=True)
    wrong = pl.when(pl.col("query_id").is_in(FAULTY)).then(pl.lit("d0x1")).otherwise("doc_id")
    world._qrels = labelled.with_columns(doc_id=wrong)
    return replace(world.tables(), negatives=world.tables().negatives.clear())


def config(**changes):
    return TrainConfig(**{"batch_size": 48, "epochs": 8, "device": "cpu", "checkpoint_every": 3, **changes})


def test_planted_faulty_pairs_are_flagged_from_a_real_run(planted, tmp_path):
    world = type(planted)(topics=8, per_topic=9)
    settings = config(batch_size=12, temperature=0.3, learning_rate=0.02)
    run_training(one_positive_each(world), world, settings, tmp_path, world.start(64))
    stats = read_pair_stats(tmp_path / "pair_stats.parquet")
    assert stats.height == 48 * 8
    assert sorted(stats["epoch"].unique()) == list(range(8))
    flagged = weigh_pairs(stats, too_hard=2.0).filter(pl.col("flag") == "faulty")
    assert sorted(flagged["query_id"]) == sorted(FAULTY)
    assert set(flagged["positive_id"]) == {"d0x1"}


@pytest.mark.parametrize("kill_at", [1, 5, 7])
def test_a_resumed_run_loses_and_doubles_no_row(planted, tmp_path, kill_at):
    world = type(planted)(topics=8, per_topic=9)
    settings = config(batch_size=20, epochs=3)

    def kill(step, done, total):
        if (step, done) == ("train", kill_at):
            raise KeyboardInterrupt

    run_training(one_positive_each(world), world, settings, tmp_path / "whole", world.start())
    with pytest.raises(KeyboardInterrupt):
        run_training(one_positive_each(world), world, settings, tmp_path / "cut", world.start(), kill)
    report = run_training(one_positive_each(world), world, settings, tmp_path / "cut", world.start())
    assert report.training.resumed_at == kill_at // 3 * 3 - (3 if kill_at % 3 == 0 else 0)
    files = [(tmp_path / name / "pair_stats.parquet").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def records(*rows):
    return np.array(list(rows), dtype=PAIR)


def test_a_pair_that_came_twice_in_an_epoch_has_the_mean(planted):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    found = pair_losses(records((0, 1, 0, 1.0), (0, 1, 1, 5.0), (0, 1, 0, 2.0)), examples)
    ids = examples.query_ids[0], examples.document_ids[1]
    assert found.rows() == [(*ids, 0, 1.5), (*ids, 1, 5.0)]


def test_no_step_gives_an_empty_table(planted):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    found = pair_losses(records(), examples)
    assert found.columns == ["query_id", "positive_id", "epoch", "loss"]
    assert found.is_empty()


def test_each_labelled_twin_of_a_positive_has_its_row(planted, tmp_path):
    """The run knows documents of equal text as one; what reads the table joins by the labels' own ids."""
    tables = planted.tables()
    twins = tables.documents.filter(pl.col("doc_id") == "d0x1").with_columns(doc_id=pl.lit("a-twin"))
    unlabelled = tables.documents.filter(pl.col("doc_id") == "d0x1").with_columns(doc_id=pl.lit("b-twin"))
    labels = pl.DataFrame({"query_id": ["q0x1"], "doc_id": ["a-twin"]})
    tables = replace(
        tables,
        documents=pl.concat([tables.documents, twins, unlabelled]),
        positives=pl.concat([tables.positives, labels]),
    )
    examples = build_examples(tables, NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    query, document = examples.query_ids.index("q0x1"), examples.document_ids.index("a-twin")
    write_pair_stats(records((query, document, 0, 1.0)), tables, examples, tmp_path / "stats.parquet")
    found = read_pair_stats(tmp_path / "stats.parquet")
    assert found.rows() == [("q0x1", "a-twin", 0, 1.0), ("q0x1", "d0x1", 0, 1.0)]
