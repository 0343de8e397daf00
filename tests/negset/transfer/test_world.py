import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError
from negset.transfer import world as worlds
from negset.transfer.world import batch_gradients, cut_groups, join_members, training_steps


def test_joined_rows_mean_what_they_meant(make_member):
    one, other = make_member("one", {"a": 0}), make_member("two", {"c": 1}, seed=5)
    world = join_members([one, other])
    shift, documents = one.collection.queries.height, len(one.collection.doc_ids)
    assert [(corpus.first_query, corpus.first_document) for corpus in world.corpora] == [(0, 0), (shift, documents)]
    for row in (0, 17):
        _, own = other.collection.positives.take(np.array([row]))
        _, joined = world.collection.positives.take(np.array([shift + row]))
        assert joined.tolist() == (own + documents).tolist()
        _, negatives = world.chosen.negatives.take(np.array([shift + row]))
        assert negatives.min() >= documents
        assert np.array_equal(world.queries_QD[shift + row], other.queries_QD[row])
    known = world.collection.known.filter(pl.col("query") >= shift)
    assert known["doc"].min() >= documents


def test_equal_ids_of_two_corpora_have_lots_of_their_own(make_member):
    world = join_members([make_member("one", {"a": 0}), make_member("two", {"a": 0})])
    assert len(np.unique(world.collection.query_keys)) == len(world.collection.query_keys)


def test_texts_that_are_measured_anywhere_train_nowhere(make_member):
    one, other = make_member("one", {"a": 0}), make_member("two", {"a": 0}, seed=5)
    held = np.flatnonzero((one.collection.queries["split"] == "test").to_numpy())[0]
    leaked = np.flatnonzero((other.collection.queries["split"] == "train").to_numpy())[0]
    other.collection.text_keys[leaked] = one.collection.text_keys[held]
    world = join_members([one, other])
    groups, _ = cut_groups([one, other], world, field="", target="test", seed=1)
    shift = one.collection.queries.height
    assert [len(group.trained) for group in groups] == [128, 127]
    assert shift + leaked not in groups[1].trained
    for group in groups:
        assert not set(group.trained) & set(group.held_out)


def test_groups_are_values_of_a_field_the_largest_first(make_member, monkeypatch):
    member = make_member("set", {"a": 0, "b": 0, "c": 1})
    world = join_members([member])
    monkeypatch.setattr(worlds, "GROUPS", 2)
    groups, left_out = cut_groups([member], world, field="domain", target="test", seed=1)
    assert [group.name for group in groups] == ["a", "b"]
    assert left_out == {"c": "only the 2 largest groups are compared"}
    monkeypatch.setattr(worlds, "LEAST", 1000)
    with pytest.raises(ConfigError, match="fewer than 1000"):
        cut_groups([member], world, field="domain", target="test", seed=1)


def test_all_trainings_are_as_long(make_member, monkeypatch):
    member = make_member("set", {"a": 0, "b": 0, "c": 1})
    groups, _ = cut_groups([member], join_members([member]), field="domain", target="test", seed=1)
    monkeypatch.setattr(worlds, "LEAST_STEPS", 1)
    assert training_steps(groups) == 4 * (128 + 128) // 32
    monkeypatch.setattr(worlds, "MOST_STEPS", 7)
    assert training_steps(groups) == 7


def test_gradients_of_batches_part_the_queries(make_member):
    member = make_member("set", {"a": 0})
    world = join_members([member])
    rows = member.chosen.usable(np.arange(100))
    assert batch_gradients(world, rows, 1).shape == (8, 24 * 24)
    whole = batch_gradients(world, rows, 1, batches=1)
    assert np.array_equal(whole, batch_gradients(world, rows[::-1].copy(), 1, batches=1))
    assert len(batch_gradients(world, rows[:3], 1)) == 3
