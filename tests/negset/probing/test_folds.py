"""No text is on both sides of a fold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ConfigError
from negset.probing.folds import asks_for_new_documents, cross_folds, hold_out_split, shared_positives


@given(st.lists(st.integers(0, 30), min_size=40, max_size=80), st.integers(0, 5))
def test_folds_hold_out_each_query_once_and_never_train_on_its_text(collection_of, words, seed):
    texts = [f"text {word}" for word in words]
    collection = collection_of([[row] for row in range(len(texts))], texts=texts)
    try:
        folds = cross_folds(collection, np.arange(len(texts)), 3, limit=60, seed=seed, positives_apart=True)
    except ConfigError:
        return
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert len(held_out) == len(set(held_out.tolist())) == min(60, len(texts))
    for fold in folds:
        assert not {texts[row] for row in fold.trained} & {texts[row] for row in fold.held_out}
        assert len(fold.trained) + len(fold.held_out) == len(held_out)


def test_a_split_is_held_out_and_its_texts_are_not_trained_on(collection_of):
    texts = ["same", "same", "other", "third", "unlabelled"]
    collection = collection_of(
        [[0], [1], [2], [3], []], texts=texts, splits=["train", "test", "train", "test", "train"]
    )
    fold = hold_out_split(collection, "test", trained_limit=9, held_out_limit=9, seed=1)
    assert fold.held_out.tolist() == [1, 3]
    assert fold.trained.tolist() == [2]


def test_limits_draw_by_lot_and_growth_keeps_the_drawn(collection_of):
    collection = collection_of([[0]] * 200, splits=["train", "test"] * 100)
    small = hold_out_split(collection, "test", trained_limit=20, held_out_limit=10, seed=1)
    large = hold_out_split(collection, "test", trained_limit=40, held_out_limit=10, seed=1)
    assert len(small.trained) == 20
    assert set(small.trained.tolist()) < set(large.trained.tolist())
    assert small.trained.max() > 60  # not just the first


def test_a_split_without_positives_is_named(collection_of):
    with pytest.raises(ConfigError, match=r"'test' has no query with a positive; those that have are .*train"):
        hold_out_split(collection_of([[0]]), "test", trained_limit=9, held_out_limit=9, seed=1)


def test_too_few_queries_for_folds_are_refused(collection_of):
    with pytest.raises(ConfigError, match=r"2 queries with a positive, 2 groups .* are too few for 5 folds"):
        cross_folds(collection_of([[0], [1]]), np.arange(2), 5, limit=9, seed=1, positives_apart=True)


def test_queries_linked_by_positives_stay_in_one_fold_and_folds_are_balanced(collection_of):
    chains = range(0, 40, 2)  # the ends of a chain share nothing but the middle
    positives = [[one] for one in chains] + [[one, one + 1] for one in chains] + [[one + 1] for one in chains]
    folds = cross_folds(collection_of(positives), np.arange(60), 5, limit=60, seed=1, positives_apart=True)
    assert [len(fold.held_out) for fold in folds] == [12] * 5
    assert shared_positives(collection_of(positives), folds) == 0
    for fold in folds:
        assert not set((fold.trained % 20).tolist()) & set((fold.held_out % 20).tolist())


def test_a_group_larger_than_a_fold_is_cut_by_texts_and_counted(collection_of):
    collection = collection_of([[0]] * 20, texts=[f"text {row // 2}" for row in range(20)])
    folds = cross_folds(collection, np.arange(20), 5, limit=20, seed=1, positives_apart=True)
    assert [len(fold.held_out) for fold in folds] == [4] * 5
    assert shared_positives(collection, folds) == 20
    for fold in folds:
        assert not set((fold.trained // 2).tolist()) & set((fold.held_out // 2).tolist())


def test_without_keeping_positives_apart_only_equal_texts_stay_together(collection_of):
    collection = collection_of([[row // 4] for row in range(40)], texts=[f"text {row // 2}" for row in range(40)])
    folds = cross_folds(collection, np.arange(40), 2, limit=40, seed=1, positives_apart=False)
    assert shared_positives(collection, folds) > 0
    for fold in folds:
        assert not set((fold.trained // 2).tolist()) & set((fold.held_out // 2).tolist())


@pytest.mark.parametrize(
    ("asked", "new"),
    [
        ([], False),  # nothing says that they differ from those trained on
        ([20, 21, 22, 23], True),
        ([0, 21, 22, 23], True),  # a quarter, against all among each other
        ([0, 1, 22, 23], False),
    ],
)
def test_whether_queries_to_come_ask_for_new_documents(collection_of, asked, new):
    trained = [[document] for document in range(8) for _ in range(2)]
    collection = collection_of(
        [*trained, *([document] for document in asked)],
        splits=["train"] * len(trained) + ["test"] * len(asked),
        documents=30,
    )
    assert asks_for_new_documents(collection, ("train",)) is new


def test_where_training_queries_share_nothing_no_document_is_new(collection_of):
    collection = collection_of([[0], [1], [2], [7]], splits=["train", "train", "train", "test"])
    assert not asks_for_new_documents(collection, ("train",))


def test_folds_do_not_depend_on_the_order_of_the_queries(collection_of):
    texts = [f"text {row}" for row in range(60)]
    turn = np.random.default_rng(3).permutation(60)
    held_out = []
    for order in (np.arange(60), turn):
        collection = collection_of([[row // 3] for row in order], texts=[texts[row] for row in order])
        folds = cross_folds(collection, np.arange(60), 5, limit=50, seed=1, positives_apart=True)
        held_out.append([{int(order[row]) for row in fold.held_out} for fold in folds])
    assert held_out[0] == held_out[1]
