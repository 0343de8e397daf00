"""Every loss that needs no second model, in the loop: it teaches, and a killed run with it goes on as if it had not."""

import polars as pl
import pytest
import torch

from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from negset.training.objective import losses
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
ALONE = [name for name, found in losses().items() if not found.needs & {"guide", "teacher"}]
WITH_STATE = [name for name in ALONE if losses()[name].prepare or losses()[name].open_parameters]
OPTIONS = {
    "dbpm": {"warm_up": 1, "too_hard": 1.0, "too_easy": 1.0},
    "info_nce": {"learn_temperature": True},
    "exact_softmax": {"learn_temperature": True},
    "hyperspherical": {"learn_kappa": True},
}
EPOCHS = {"proto_clip": 3}
"""Clustering the texts takes longer than training on them."""


def config(name: str, **changes) -> TrainConfig:
    return TrainConfig(
        **{
            "loss": name,
            "loss_options": OPTIONS.get(name, {}),
            "candidates": "all" if "all_documents" in losses()[name].needs else "batch",
            "batch_size": 7,
            "epochs": 3,
            "checkpoint_every": 4,
            "learning_rate": 0.03,
            "temperature": 0.2,
            "device": "cpu",
            **changes,
        }
    )


@pytest.fixture
def examples(planted):
    known = planted.qrels().select("query_id", "doc_id")
    return build_examples(planted.tables(), known, pl.Series([], dtype=pl.String), split="train")


def topic_margin(model, planted) -> float:
    """Give how much nearer queries are to documents of their topic than to others, in the mean."""
    queries, documents = planted.queries(), planted.documents()
    scores = model.encode(queries["text"].to_list(), "query") @ model.encode(documents["text"].to_list(), "document").T
    of_query = queries["query_id"].str.slice(1, 1).to_numpy()
    same = of_query[:, None] == documents["doc_id"].str.slice(1, 1).to_numpy()
    return float(scores[same].mean() - scores[~same].mean())


@pytest.mark.parametrize("name", ALONE)
def test_a_loss_teaches(name, planted, examples, tmp_path):
    settings = config(name, epochs=EPOCHS.get(name, 8))
    model = open_model(settings, planted.start())
    before = topic_margin(model, planted)
    training = train_encoder(model, examples, settings, tmp_path)
    assert topic_margin(model, planted) > before + 0.2
    assert all(torch.isfinite(torch.tensor(training.losses)))


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "kill_at"),
    [(name, kill_at) for name in WITH_STATE for kill_at in (5, 7) if (name, kill_at) != ("proto_clip", 5)],
)
def test_a_killed_run_goes_on_with_what_its_loss_knew(name, kill_at, planted, examples, tmp_path):
    """An epoch has four steps: at 5 the second has just begun, at 7 it is in its middle."""
    settings = config(name, checkpoint_every=2)

    def kill(_step, done, _total):
        if done == kill_at:
            raise KilledError

    def run(folder, progress=lambda *_: None):
        model = open_model(settings, planted.start())
        training = train_encoder(model, examples, settings, tmp_path / folder, progress)
        return training, model.module.state_dict()

    whole, parameters = run("whole")
    with pytest.raises(KilledError):
        run("cut", kill)
    resumed, same = run("cut")
    assert resumed.resumed_at == kill_at - 1
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
