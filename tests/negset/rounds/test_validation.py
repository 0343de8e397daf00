import numpy as np
import pytest

from negset.errors import ConfigError
from negset.rounds.validation import deal_roles
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig


@pytest.fixture
def many(labelled):
    """Give 60 training queries, in pairs that share a positive, and 4 of each of dev and test."""
    documents = {f"d{row:02}": f"text {row}" for row in range(40)}
    names = [*(f"t{row:02}" for row in range(60)), *(f"v{row}" for row in range(4)), *(f"x{row}" for row in range(4))]
    queries = {name: f"ask {name}" for name in names}
    queries["t00"] = "Ask X0"
    queries["t02"] = "ask v1"
    splits = {name: {"t": "train", "v": "dev", "x": "test"}[name[0]] for name in names}
    labels = [(name, f"d{int(name[1:]) // 2:02}", 1, splits[name]) for name in names]
    return labelled(documents, queries, labels, splits)


def names(collection, rows):
    return set(collection.queries["query_id"].gather(rows).to_list())


def test_a_share_of_the_training_queries_is_never_trained_on(many):
    roles = deal_roles(many, TrainConfig(), RoundsConfig(validation=0.2))
    validation, trained = names(many, roles.validation), names(many, roles.trained)
    assert 8 <= len(validation) <= 16
    assert not validation & trained
    assert validation | trained == {f"t{row:02}" for row in range(1, 60)}
    assert names(many, roles.held_out) == {"x0", "x1", "x2", "x3"}


def test_no_text_of_the_test_split_is_trained_on_or_decides(many):
    roles = deal_roles(many, TrainConfig(), RoundsConfig())
    assert "t00" not in names(many, roles.trained) | names(many, roles.validation)


def test_queries_that_share_a_positive_stay_together(many):
    roles = deal_roles(many, TrainConfig(), RoundsConfig(validation=0.25))
    document = many.positives.rows[many.positives.offsets[:-1]]
    assert not np.isin(document[roles.validation], document[roles.trained]).any()


def test_another_seed_keeps_other_queries(many):
    first, again, other = (
        deal_roles(many, TrainConfig(seed=seed), RoundsConfig()).validation.tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_split_can_decide_and_its_texts_are_not_trained_on(many):
    roles = deal_roles(many, TrainConfig(), RoundsConfig(validation_split="dev"))
    assert names(many, roles.validation) == {"v0", "v1", "v2", "v3"}
    assert "t02" not in names(many, roles.trained)
    assert "t04" in names(many, roles.trained)


@pytest.mark.parametrize("split", ["test", "train"])
def test_what_is_reported_or_trained_on_never_decides(many, split):
    with pytest.raises(ConfigError, match=f"validation_split is '{split}'"):
        deal_roles(many, TrainConfig(), RoundsConfig(validation_split=split))


def test_a_split_without_queries_is_named(many):
    with pytest.raises(ConfigError, match=r"'nope'.*dev, test, train"):
        deal_roles(many, TrainConfig(), RoundsConfig(validation_split="nope"))
    with pytest.raises(ConfigError, match=r"Set train\.split"):
        deal_roles(many, TrainConfig(split="nope"), RoundsConfig())


def test_texts_that_no_round_may_train_on_are_those_of_both_other_roles(many):
    roles = deal_roles(many, TrainConfig(), RoundsConfig(validation_split="dev"))
    texts = set(roles.untrained_texts(many).to_list())
    assert texts == {*(f"ask v{row}" for row in range(4)), *(f"ask x{row}" for row in range(4))}
