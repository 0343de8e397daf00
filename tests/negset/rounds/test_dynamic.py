"""ADORE: negatives of the moment, documents that do not move."""

import numpy as np
import polars as pl
import pytest
import torch

from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError
from negset.rounds.dynamic import corpus_examples, step_supply
from negset.rounds.models import FrozenDocuments
from negset.rounds.training import round_config
from negset.training.batches import Planned
from negset.training.examples import Groups
from negset.training.loop import train_encoder
from negset.training.model import Pace, open_model
from negset.training.remining import with_negatives
from schemas.train import TrainConfig

NONE = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


def circle(degrees) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


class Planar:
    """A query encoder in the plane: each query is a point that is trained."""

    pace = Pace(epochs=300, warm_up=0.0, gradient_limit=0.0)
    device = torch.device("cpu")

    def __init__(self, points):
        self.module = torch.nn.Embedding.from_pretrained(torch.from_numpy(points.copy()), freeze=False)

    def bind(self, texts, role):
        assert role == "query"
        numbers = torch.tensor([int(text) for text in texts])
        return lambda rows: torch.nn.functional.normalize(self.module(numbers[torch.from_numpy(rows)]))

    def encode(self, texts, role):
        with torch.no_grad():
            return normalise_rows(self.module(torch.tensor([int(text) for text in texts])).numpy())

    def optimizers(self):
        return [torch.optim.Adam(self.module.parameters(), lr=0.1)]

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)


# The positive at 0, what the start at 60 finds hard at 60 and 80, and the one at -20 that only a better query meets.
DOCUMENTS = circle([0, 60, 80, -20])


@pytest.fixture
def plane(labelled):
    documents = {f"d{row}": f"text {row}" for row in range(4)}
    return corpus_examples(labelled(documents, {"q0": "0"}, [("q0", "d0", 1)]), np.array([0]), NONE)


def reciprocal_rank(model):
    scores = (model.encode(["0"], "query") @ DOCUMENTS.T)[0]
    return 1 / (1 + int((scores > scores[0]).sum()))


def fit(plane, folder, supply=None, negatives=None):
    query = Planar(circle([60]))
    model = FrozenDocuments(query, DOCUMENTS)
    config = round_config(TrainConfig(), "adore", 200)
    examples = plane if negatives is None else with_negatives(plane, negatives)
    training = train_encoder(model, examples, config, folder, supply=supply and supply(model, plane, DOCUMENTS, 2))
    return query, training.losses


def test_static_negatives_reach_zero_loss_with_a_bad_ranking_and_dynamic_ones_do_not(plane, tmp_path):
    """Zero loss, bad MRR: the pool of the start is solved while a document that it never held ranks first."""
    static = Groups(np.array([0, 2]), np.array([1, 2]))
    query, losses = fit(plane, tmp_path / "static", negatives=static)
    assert losses[0] > 0.1
    assert losses[-1] < 1e-6
    assert reciprocal_rank(query) == 0.5
    query, losses = fit(plane, tmp_path / "dynamic", supply=step_supply)
    assert min(losses) > 1e-6
    assert reciprocal_rank(query) == 1.0


def test_each_step_searches_with_the_query_of_that_step(plane):
    query = Planar(circle([60]))
    supply = step_supply(FrozenDocuments(query, DOCUMENTS), plane, DOCUMENTS, 2)
    planned = Planned(np.array([0]), in_batch=False)
    assert supply.examples(0, planned).negatives.rows.tolist() == [1, 2]
    with torch.no_grad():
        query.module.weight.copy_(torch.from_numpy(circle([-40])))
    assert supply.examples(0, planned).negatives.rows.tolist() == [3, 1]


def test_other_frozen_documents_or_another_depth_is_another_run(plane):
    query = FrozenDocuments(Planar(circle([60])), DOCUMENTS)
    moved = DOCUMENTS.copy()
    moved[3] = circle([-51])[0]
    first, again, shallow, other = (
        step_supply(query, plane, documents, depth).identity
        for documents, depth in ((DOCUMENTS, 2), (DOCUMENTS, 2), (DOCUMENTS, 1), (moved, 2))
    )
    assert first == again
    assert len({first, shallow, other}) == 3


def test_negatives_of_a_batch_stand_at_its_queries_in_any_order(labelled):
    documents = {f"d{row}": f"text {row}" for row in range(4)}
    collection = labelled(
        documents, {f"q{row}": str(row) for row in range(3)}, [(f"q{row}", "d0", 1) for row in range(3)]
    )
    examples = corpus_examples(collection, np.arange(3), NONE)
    points = circle([60, -40, 80])
    supply = step_supply(FrozenDocuments(Planar(points), DOCUMENTS), examples, DOCUMENTS, 1)
    found = supply.examples(0, Planned(np.array([2, 1]), in_batch=False)).negatives
    assert found.offsets.tolist() == [0, 0, 1, 2]
    assert found.rows.tolist() == [3, 2]


def test_known_positives_and_suspects_are_never_found(labelled):
    documents = {"d0": "same text", "d1": "other", "d2": "third", "d3": "Same  Text"}
    collection = labelled(documents, {"q0": "0"}, [("q0", "d0", 1)])
    suspects = pl.DataFrame({"query_id": ["q0"], "doc_id": ["d1"]})
    examples = corpus_examples(collection, np.array([0]), suspects)
    assert examples.known.rows.tolist() == [0, 1, 3]
    supply = step_supply(FrozenDocuments(Planar(circle([60])), DOCUMENTS), examples, DOCUMENTS, 4)
    assert supply.examples(0, Planned(np.array([0]), in_batch=False)).negatives.rows.tolist() == [2]


def test_the_gradient_touches_only_what_queries_are_made_of(words):
    """Words that stand in documents alone keep no gradient, and the frozen vectors have none."""
    bag = open_model(TrainConfig(device="cpu"), words)
    texts = ["body0 body1", "body1 filler", "ask0 body0"]
    frozen = FrozenDocuments(bag, bag.encode(texts, "document"))
    before = frozen.documents_ND.copy()
    queries = frozen.bind(["ask0 word1"], "query")(np.array([0]))
    documents = frozen.bind(texts, "document")(np.arange(len(texts)))
    assert not documents.requires_grad
    (queries @ documents.T).sum().backward()
    touched = set(bag.module.embedding.grad.coalesce().indices()[0].tolist())
    vocabulary = bag.tokenizer.get_vocab()
    assert touched == {vocabulary["ask0"], vocabulary["word1"]}
    assert np.array_equal(frozen.documents_ND, before)


def test_a_loss_that_the_strategy_would_ignore_is_refused():
    with pytest.raises(ConfigError, match=r"train\.loss is 'star'"):
        round_config(TrainConfig(loss="star"), "adore", 200)
    with pytest.raises(ConfigError, match=r"train\.plan_refresh = 2"):
        round_config(TrainConfig(plan_refresh=2), "ance", 200)
    assert round_config(TrainConfig(loss="star"), "ance", 200).loss == "star"
    chosen = round_config(TrainConfig(loss="adore", loss_options={"cut": 7}, remine="epoch"), "adore", 200)
    assert (chosen.loss_options, chosen.in_batch, chosen.remine) == ({"cut": 7}, False, "")
