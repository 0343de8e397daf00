import numpy as np
import pytest

from negset.errors import ArtifactError
from negset.probing.ranking import measure_vectors
from negset.rounds.survey import (
    Survey,
    commit_survey,
    first_ranks,
    measures,
    open_survey,
    positive_ranks,
    staleness,
    survey_vectors,
)
from schemas.refs import SurveyRef


def unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_pool_holds_the_best_documents_first_and_ties_by_row():
    found = survey_vectors(unit([[1, 0]]), unit([[0, 1], [1, 1], [1, 0], [1, 1]]), np.array([7]), 3)
    assert found.queries.tolist() == [7]
    assert found.pool_QK.tolist() == [[2, 1, 3]]


def test_a_small_corpus_leaves_places_empty():
    found = survey_vectors(unit([[1, 0]]), unit([[0, 1], [1, 1]]), np.array([0]), 4)
    assert found.pool_QK.tolist() == [[1, 0, -1, -1]]


def test_ranks_of_positives_count_from_one_and_end_behind_the_pool(six):
    survey = Survey(np.arange(3), np.array([[0, 1], [3, 1], [4, 5]], dtype=np.int32))
    assert positive_ranks(six, survey, np.arange(3)).tolist() == [1, 2, 3, 2]
    assert first_ranks(six, survey, np.arange(3)).tolist() == [1, 2, 2]
    assert first_ranks(six, survey, np.array([2, 0])).tolist() == [2, 1]


def test_measures_are_those_of_the_whole_ranking(six):
    """Against the measures that rank all documents."""
    draw = np.random.default_rng(3)
    queries, documents = unit(draw.normal(size=(3, 4))), unit(draw.normal(size=(6, 4)))
    rows = np.arange(3)
    expected = measure_vectors(six, rows, queries, documents).values
    found = measures(six, survey_vectors(queries, documents, rows, 100), rows)
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in expected.items()
    }


def test_staleness_is_the_share_of_the_former_pool_that_is_gone():
    former = Survey(np.array([4, 9]), np.array([[0, 1, 2, 3], [0, 1, 2, 3]], dtype=np.int32))
    latter = Survey(np.array([4, 9]), np.array([[3, 2, 1, 7], [8, 9, 7, 0]], dtype=np.int32))
    assert staleness(former, latter, np.array([4, 9])).tolist() == [0.25, 0.75]
    assert staleness(former, latter, np.array([9])).tolist() == [0.75]
    assert staleness(former, former, np.array([4, 9])).tolist() == [0.0, 0.0]


def test_a_document_of_another_querys_pool_does_not_keep_a_pool_fresh():
    former = Survey(np.arange(2), np.array([[0, 1], [2, 3]], dtype=np.int32))
    latter = Survey(np.arange(2), np.array([[2, 3], [0, 1]], dtype=np.int32))
    assert staleness(former, latter, np.arange(2)).tolist() == [1.0, 1.0]


def test_empty_places_are_nobodys_loss():
    former = Survey(np.arange(1), np.array([[0, 1, -1]], dtype=np.int32))
    assert staleness(former, former, np.arange(1)).tolist() == [0.0]


def test_a_moved_document_is_in_the_new_pool_and_not_in_the_old_one():
    """ANCE's test of a round: what was moved next to the query is found by the new vectors alone."""
    documents = unit([[1, 0.1], [1, 0.2], [-1, 0]])
    moved = documents.copy()
    moved[2] = unit([[1, 0]])[0]
    old, new = (survey_vectors(unit([[1, 0]]), vectors, np.array([0]), 2) for vectors in (documents, moved))
    assert 2 not in old.pool_QK
    assert new.pool_QK[0, 0] == 2
    assert staleness(old, new, np.array([0])).tolist() == [0.5]


def test_what_is_kept_is_read_back_and_a_damaged_file_is_refused(store):
    survey = Survey(np.array([2, 5]), np.array([[0, 1], [3, -1]], dtype=np.int32))
    ref = commit_survey(store, "a" * 64, survey)
    found = open_survey(store, ref)
    assert (found.queries.tolist(), found.pool_QK.tolist()) == ([2, 5], [[0, 1], [3, -1]])
    (store.folder(SurveyRef.kind, ref.fingerprint) / "pool.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"pool\.npy"):
        open_survey(store, ref)
