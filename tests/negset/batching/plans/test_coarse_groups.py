import numpy as np
import polars as pl
import pytest

from negset.batching.making import make_plan
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.errors import ConfigError
from negset.tables import read_table
from negset.training.batches import Planned, collate_batch
from negset.training.examples import Examples

GROUPS, EACH = 8, 5


def opened(inputs, *, size=40, epochs=4, **options):
    found = find_plan("coarse-groups")
    return found.open(inputs, PlanSettings(1, size, epochs), plan_params(found, options))


def named(groups):
    return {"column": lambda _name: pl.Series(groups, dtype=pl.String)}


@pytest.fixture
def one_to_many(plan_inputs):
    """Give queries in groups of five, each labelled with one of the five documents that answer all of the group."""
    return plan_inputs(GROUPS * EACH, **named([f"g{row // EACH}" for row in range(GROUPS * EACH)]))


def negatives_of_the_group(inputs, visits) -> list[int]:
    """Count for each query how many of the five valid targets a batch of the trainer holds against it."""
    examples = Examples(
        query_ids=list(inputs.query_ids),
        query_texts=list(inputs.query_ids),
        document_ids=list(inputs.document_ids),
        document_texts=list(inputs.document_ids),
        positives=inputs.positives,
        negatives=inputs.negatives,
        negative_weights=np.ones(len(inputs.negatives.rows), dtype=np.float32),
        known=inputs.known,
        left_out={},
    )
    masked = None if visits.suspects is None else (visits.suspects.visit_M, visits.suspects.document_M)
    batch = collate_batch(examples, Planned(visits.query_V, in_batch=True, masked=masked), 1, 0)
    counted_BC = ~batch.masked_BC
    counted_BC[np.arange(len(batch.queries_B)), batch.target_B] = False
    same_BC = batch.queries_B[:, None] // EACH == batch.candidates_C[None, :] // EACH
    assert (counted_BC & ~same_BC).sum(axis=1).tolist() == [(GROUPS - 1) * EACH] * len(batch.queries_B)
    return (counted_BC & same_BC).sum(axis=1).tolist()


def test_phase_one_has_no_negative_of_the_group_where_plain_info_nce_has_four_of_five(one_to_many):
    visit = opened(one_to_many)
    plain = find_plan("shuffled")
    shuffled = plain.open(one_to_many, PlanSettings(1, 40, 4), plan_params(plain, {}))
    assert negatives_of_the_group(one_to_many, shuffled(0)) == [4] * 40
    assert [set(negatives_of_the_group(one_to_many, visit(epoch))) for epoch in range(4)] == [{0}, {0}, {4}, {4}]


@pytest.mark.parametrize(
    ("share", "epochs", "masked"), [(0.5, 5, 3), (0.3, 10, 3), (0.1, 10, 1), (1, 3, 3), (0.01, 3, 1), (2 / 3, 3, 2)]
)
def test_phase_two_begins_after_the_share_of_epochs(one_to_many, share, epochs, masked):
    visit = opened(one_to_many, epochs=epochs, phase_two=share)
    assert [visit(epoch).suspects is not None for epoch in range(epochs)] == [True] * masked + [False] * (
        epochs - masked
    )
    assert visit(0).stage != visit(epochs - 1).stage or masked == epochs


def test_a_phase_two_that_would_never_come_is_refused(one_to_many):
    with pytest.raises(ConfigError, match=r"after 0\.5 of the epochs and would never come in 1\. .*phase_two=1"):
        opened(one_to_many, epochs=1)
    assert opened(one_to_many, epochs=1, phase_two=1)(0).suspects is not None


def pairs(visits):
    query_M = visits.query_V[visits.suspects.visit_M]
    return sorted(zip(query_M.tolist(), visits.suspects.document_M.tolist(), strict=True))


def test_hard_negatives_that_answer_the_group_are_masked_too_and_no_others(plan_inputs):
    """Query 0 has the answer of its group as a hard negative; that of 2 comes along as one of query 3's."""
    inputs = plan_inputs(4, negatives=[[1, 3], [], [], [2]], **named(["a", "a", "b", "c"]))
    assert pairs(opened(inputs, size=4)(0)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (3, 3)]
    # In a batch of one nobody brings what the other labels, but a hard negative is there all the same.
    assert pairs(opened(inputs, size=1)(0)) == [(0, 0), (0, 1), (1, 1), (2, 2), (3, 3)]


def test_a_document_may_answer_several_groups_and_a_query_without_one_is_alone(plan_inputs):
    inputs = plan_inputs(4, positives=[[0], [0, 1], [2], [3]], **named(["a", "b", None, None]))
    visits = opened(inputs, size=4, phase_two=1)
    found = {pair for epoch in range(4) for pair in pairs(visits(epoch))}
    assert found == {(0, 0), (1, 0), (1, 1)}
    assert visits(0).notes == {"visits_without_a_group": 2}


def test_the_tables_have_each_pair_once_and_nobodys_own_positive(one_to_many, tmp_path):
    found = find_plan("coarse-groups")
    counts, _ = make_plan(one_to_many, found, plan_params(found, {}), PlanSettings(1, 40, 2), tmp_path)
    masks = read_table(tmp_path / "batch_masks" / "epoch-00000.parquet")
    assert masks.height == counts[0].masked_suspects == 40 * 4
    assert masks.select("query_id", "doc_id").is_duplicated().sum() == 0
    assert masks.filter(pl.col("query_id").str.slice(1) == pl.col("doc_id").str.slice(1)).is_empty()
    assert counts[1].masked_suspects == 0
