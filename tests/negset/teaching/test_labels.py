import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.teaching import labels, row_vectors
from negset.teaching.labels import find_neighbours, label_share
from negset.teaching.teacher import Pairs


def xor_world(each=100, wide=32, noise=0.1, seed=5):
    """Give world W6: 400 documents of two classes, each with two opposite modes."""
    draw = np.random.default_rng(seed)
    first, second = np.eye(wide)[:2]
    mode = np.repeat(np.arange(4), each)
    vectors = np.array([first, -first, second, -second])[mode] + noise * draw.standard_normal((4 * each, wide))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), mode // 2


def shares(vectors, label, k=20, temperature=0.1):
    """Give the share of each document's own label, classes being queries."""
    rows = np.arange(len(vectors))
    found = find_neighbours(rows, rows, lambda some: vectors[some], k)
    labelled = Pairs(np.sort(label), np.argsort(label, kind="stable"))
    return label_share(Pairs(label, rows), found, labelled, temperature)


def test_neighbours_are_right_where_centroids_fail():
    vectors, label = xor_world()
    centroids = np.stack([vectors[label == one].mean(axis=0) for one in (0, 1)])
    by_centroid = (vectors @ centroids.T).argmax(axis=1)
    assert (by_centroid == label).mean() < 0.7
    assert (shares(vectors, label) > 0.5).all()


def test_planted_flips_are_found_exactly():
    vectors, label = xor_world()
    flipped = np.random.default_rng(1).choice(len(label), 20, replace=False)
    label = label.copy()
    label[flipped] = 1 - label[flipped]
    assert sorted(np.flatnonzero(shares(vectors, label) < 0.5).tolist()) == sorted(flipped.tolist())


def test_a_document_is_never_its_own_neighbour():
    """Asked for one neighbour, a check that leaves the document in agrees with every label, however wrong."""
    vectors, label = xor_world(each=20)
    wrong = np.random.default_rng(2).permutation(label)
    assert shares(vectors, wrong, k=1).mean() < 0.8
    rows = np.arange(len(vectors))
    found = find_neighbours(rows, rows, lambda some: vectors[some], 5)
    assert (found.doc_UK != rows[:, None]).all()
    mutant = labels.Neighbours(rows, rows[:, None], np.ones((len(rows), 1)))
    labelled = Pairs(np.sort(wrong), np.argsort(wrong, kind="stable"))
    assert (label_share(Pairs(wrong, rows), mutant, labelled, 0.1) == 1).all()


def test_a_twin_of_the_document_may_be_nearest_and_the_document_is_still_left_out():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    found = find_neighbours(np.arange(3), np.arange(3), lambda some: vectors[some], 2)
    assert found.doc_UK.tolist() == [[1, 2], [0, 2], [0, 1]]


def test_the_share_is_weighted_by_the_cosine():
    found = labels.Neighbours(np.array([9]), np.array([[1, 2, -1]]), np.array([[0.9, 0.5, np.nan]]))
    labelled = Pairs(np.array([0, 0, 1]), np.array([1, 7, 2]))
    pairs = Pairs(np.array([0, 1]), np.array([9, 9]))
    near, far = np.exp(9.0), np.exp(5.0)
    assert label_share(pairs, found, labelled, 0.1).tolist() == pytest.approx([near / (near + far), far / (near + far)])
    assert np.isfinite(label_share(pairs, found, labelled, 1e-4)).all()


def test_a_class_of_one_has_nobody_to_agree_with():
    vectors = np.eye(4, dtype=np.float32)
    rows = np.arange(4)
    found = find_neighbours(rows, rows[:3], lambda some: vectors[some], 5)
    labelled = Pairs(np.array([0, 1, 1]), np.array([0, 1, 2]))
    given = label_share(Pairs(np.array([0, 1, 0, 1]), np.array([0, 1, 3, 3])), found, labelled, 0.1)
    assert np.isnan(given[0])
    assert given[1:].tolist() == pytest.approx([0.5, 1 / 3, 2 / 3])


def test_without_labelled_documents_nothing_agrees():
    none = np.empty(0, np.int64)
    found = find_neighbours(np.arange(2), none, lambda some: np.eye(2, dtype=np.float32)[some], 3)
    assert label_share(Pairs(np.array([0]), np.array([1])), found, Pairs(none, none), 0.1).tolist() == [0.0]


@settings(max_examples=8)
@given(st.integers(3, 9), st.integers(0, 1000))
def test_blocks_leave_no_trace(size, seed):
    draw = np.random.default_rng(seed)
    vectors = np.round(draw.standard_normal((17, 3)), 1).astype(np.float32)
    rows, labelled = np.arange(17), np.unique(draw.integers(0, 17, 9))
    whole = find_neighbours(rows, labelled, lambda some: vectors[some], 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_vectors, "BLOCK", size)
        cut = find_neighbours(rows, labelled, lambda some: vectors[some], 4)
    assert whole.doc_UK.tobytes() == cut.doc_UK.tobytes()
    assert whole.cosine_UK.tobytes() == cut.cosine_UK.tobytes()
