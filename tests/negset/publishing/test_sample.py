import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from negset.publishing.sample import QUOTAS, choose_examples, sample_ids

FATES = st.lists(st.sampled_from(["kept", "short", "dropped"]), max_size=80)


@given(FATES)
def test_the_sample_is_full_unique_and_blind_to_order(fates):
    frame = pl.DataFrame(
        {"query_id": [f"q{number}" for number in range(len(fates))], "fate": fates},
        schema={"query_id": pl.String, "fate": pl.String},
    )
    chosen = sample_ids(frame)
    assert chosen == sample_ids(frame.reverse())
    assert len(chosen) == len(set(chosen)) == min(len(fates), sum(QUOTAS.values()))


def test_every_fate_is_shown(staged):
    examples = {one.query["query_id"]: one for one in choose_examples(staged.folder, staged.selection, staged.snapshot)}
    assert sorted(examples) == ["q1", "q2", "q3", "q4", "q5"]
    first = examples["q1"]
    assert [row["doc_id"] for row in first.negatives] == ["d05", "d06"]
    assert [row["rejected_by"] for row in first.rejected] == ["known_positive", "known_positive", "percent_of_positive"]
    assert first.unsampled == 1
    assert first.texts["d07"] == "wine may be red"
    assert [row["doc_id"] for row in examples["q4"].positives] == ["d04"]
