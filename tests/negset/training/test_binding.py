import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ConfigError
from negset.training.batches import collate_batch, shuffled_plan
from negset.training.binding import bind, check_needs, fetch_guide, loss_inputs
from negset.training.examples import build_examples
from negset.training.model import open_model
from negset.training.objective import LossParams, Moment
from negset.training.signals import Guide, Signals, TeacherScores
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


@pytest.fixture
def needy(register):
    """Register losses that need one thing each, and one that needs nothing."""
    for need in ("guide", "teacher", "all_documents"):
        register(f"asks_{need}", params=LossParams, needs=[need])(lambda inputs, params: inputs.scores_BC().sum(1))
    register("asks_nothing", params=LossParams)(lambda inputs, params: inputs.scores_BC().sum(1))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "asks_guide"}, r"'asks_guide' asks a guide: set train\.guide"),
        ({"loss": "asks_teacher"}, r"'asks_teacher' learns from a teacher: set train\.teacher"),
        ({"loss": "asks_all_documents"}, r"set train\.candidates = 'all'"),
        ({"loss": "asks_nothing", "guide": "lsa"}, r"train\.guide is set, but loss 'asks_nothing' does not read it"),
        ({"loss": "asks_nothing", "teacher": "dense"}, r"train\.teacher is set, but loss 'asks_nothing'"),
        ({"loss": "asks_guide", "guide": "lsa", "teacher": "dense"}, r"train\.teacher is set"),
        ({"loss": "asks_nothng"}, r"did you mean 'asks_nothing'"),
        ({"loss": "asks_nothing", "loss_options": {"power": 2}}, r"loss_options of asks_nothing: power"),
    ],
)
def test_what_is_missing_or_idle_is_said_with_its_key(needy, settings, said):
    with pytest.raises(ConfigError, match=said):
        check_needs(TrainConfig(**settings))


def test_a_loss_gets_what_it_needs(needy):
    for settings in (
        {"loss": "asks_guide", "guide": "lsa"},
        {"loss": "asks_teacher", "teacher": "dense"},
        {"loss": "asks_all_documents", "candidates": "all"},
        {"loss": "asks_nothing"},
    ):
        assert check_needs(TrainConfig(**settings)).name == settings["loss"]


def test_inputs_hold_the_rows_of_the_batch(planted):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    queries, documents = len(examples.query_ids), len(examples.document_ids)
    guide = Guide(torch.arange(queries)[:, None] * 1.0, torch.arange(documents)[:, None] * 10.0, "it")
    pairs = np.array([[3, 7], [4, 1]])
    teacher = TeacherScores(documents, pairs @ [documents, 1], np.array([0.5, -2.0], dtype=np.float32))
    config = TrainConfig(device="cpu", batch_size=9)
    binding = bind(open_model(config, planted.start()), examples, config, Signals(guide, teacher))
    batch = collate_batch(examples, next(shuffled_plan(examples, 13, 9, in_batch=True)(0)), 13, 0)
    vectors = torch.zeros(9, 2), torch.zeros(len(batch.candidates_C), 2)
    episode = {"centre": torch.ones(1)}
    inputs = loss_inputs(binding, batch, *vectors, Moment(13, 0, 1, 0, 1), episode, fetch_guide(binding, batch))
    assert inputs.guide_BG[:, 0].tolist() == batch.queries_B.tolist()
    assert (inputs.guide_CG[:, 0] / 10).tolist() == batch.candidates_C.tolist()
    assert inputs.episode is episode
    for row, query in enumerate(batch.queries_B.tolist()):
        for column, document in enumerate(batch.candidates_C.tolist()):
            expected = {(3, 7): 0.5, (4, 1): -2.0}.get((query, document), float("nan"))
            assert float(inputs.teacher_BC[row, column]) == pytest.approx(expected, nan_ok=True)
