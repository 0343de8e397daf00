from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch

from negset.errors import ConfigError
from negset.training.examples import SetTables, build_examples
from negset.training.loop import train_encoder
from negset.training.mixing import learn_from_sets, learn_mixture, probe_examples
from negset.training.model import open_model
from schemas.train import TrainConfig


def drawn(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"first": torch.randn(20, 10, generator=generator), "second": torch.randn(30, generator=generator)}


def test_a_planted_mixture_of_random_task_vectors_is_recovered():
    base, vectors = drawn(0), [drawn(seed) for seed in (1, 2, 3)]
    models = [{name: base[name] + vector[name] for name in base} for vector in vectors]
    planted, scale = (0.6, 0.3, 0.1), 1.4
    target = {
        name: base[name] + scale * sum(share * vector[name] for share, vector in zip(planted, vectors, strict=True))
        for name in base
    }

    def distance(merged, step):
        return sum(((merged[name] - target[name]) ** 2).sum() for name in target)

    found = learn_mixture(distance, base, models, 2000)
    assert found.shares == pytest.approx(planted, abs=1e-4)
    assert found.scale == pytest.approx(scale, abs=1e-4)
    assert sum(found.shares) == pytest.approx(1.0, abs=1e-12)


@dataclass(frozen=True)
class Opened:
    """A set as `probe_examples` reads it; `asked` notes which queries' texts were handed out."""

    tables: SetTables
    folder: Path = Path("planted")

    def table(self, name: str) -> pl.DataFrame:
        return getattr(self.tables, name)


def test_the_probe_draws_training_queries_alone_by_their_ids(planted):
    opened = Opened(planted.tables())
    split = dict(opened.table("queries").select("query_id", "split").iter_rows())
    found = probe_examples(opened, 7, 13)
    assert len(found.query_ids) == 7
    assert {split[query] for query in found.query_ids} == {"train"}
    assert found.negatives.sizes().tolist() == [2] * 7
    shuffled = Opened(
        SetTables(
            opened.table("queries").sample(fraction=1, shuffle=True, seed=3),
            *(opened.table(name) for name in ("documents", "positives", "negatives")),
        )
    )
    assert probe_examples(shuffled, 7, 13).query_ids == found.query_ids
    assert probe_examples(opened, 7, 14).query_ids != found.query_ids


def test_a_training_query_with_the_text_of_a_held_out_one_is_left_out(planted):
    tables = planted.tables()
    held_out = tables.queries.filter(pl.col("split") == "test")["text"][0]
    leaking = tables.queries.filter(pl.col("split") == "train")["query_id"][0]
    queries = tables.queries.with_columns(
        text=pl.when(pl.col("query_id") == leaking).then(pl.lit(f" {held_out.upper()}")).otherwise("text")
    )
    opened = Opened(SetTables(queries, tables.documents, tables.positives, tables.negatives))
    found = probe_examples(opened, 1000, 13)
    assert leaking not in found.query_ids
    assert found.left_out == {"held_out_text": 1}


def test_a_set_without_training_queries_is_refused(planted):
    tables = planted.tables()
    held_out = tables.queries.with_columns(split=pl.lit("test"))
    with pytest.raises(ConfigError, match="no query of split 'train'"):
        probe_examples(Opened(SetTables(held_out, tables.documents, tables.positives, tables.negatives)), 5, 13)


def test_the_trained_model_gets_the_share_and_the_spoilt_one_none(planted, tmp_path):
    """One model learned the planted pairs, the other walked the same way backwards."""
    settings = TrainConfig(batch_size=8, epochs=20, learning_rate=0.05)
    examples = build_examples(
        planted.tables(),
        pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String}),
        pl.Series([], dtype=pl.String),
        split="train",
    )
    bag = open_model(settings, planted.start())
    bag.save(tmp_path / "base")
    start = {name: one.clone() for name, one in bag.module.state_dict().items()}
    trained = train_encoder(bag, examples, settings, tmp_path / "run").model_folder
    with torch.no_grad():
        for name, one in bag.module.state_dict().items():
            one.copy_(2 * start[name] - one)
    bag.save(tmp_path / "spoilt")
    models = [trained, tmp_path / "spoilt"]
    opened = Opened(planted.tables())
    learned = learn_from_sets(tmp_path / "base", models, [opened], queries=100, steps=100, seed=13)
    assert learned.queries == 24
    assert learned.mixture.shares[0] > 0.9
    assert learned.mixture.scale > 0.5
    assert learned.loss_after < learned.loss_before / 2
    again = learn_from_sets(tmp_path / "base", models, [opened, opened], queries=100, steps=100, seed=13)
    assert again.mixture.shares[0] > 0.9
    assert again.queries == 48
