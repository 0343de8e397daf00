"""What a selection drops for contamination is what the configuration says, and has its reason."""

import polars as pl

from negset.gates.dropping import drop_identity, drops, leaking_queries
from schemas.gates import ContaminationConfig, GatesConfig

EVALUATION = pl.DataFrame(
    {"file": ["f.txt"] * 2, "id": [None, None], "text": ["What is red", "how to boil an egg"]},
    schema_overrides={"id": pl.String},
)
QUERIES = pl.DataFrame(
    {
        "query_id": ["q0", "q1", "q2", "q3"],
        "text": ["what  is RED", "How to boil an egg?!", "fine", "What is red"],
        "split": ["train"] * 3 + ["test"],
    }
)
NEAR = GatesConfig(contamination=ContaminationConfig(near="drop"))


def dropped(config):
    return dict(leaking_queries(QUERIES, EVALUATION, config).iter_rows())


def test_exact_and_near_copies_are_dropped_as_configured():
    assert dropped(GatesConfig()) == {"q0": "query_leak"}
    assert dropped(NEAR) == {"q0": "query_leak", "q1": "near_leak"}  # q3 is held out itself
    assert dropped(GatesConfig(query_leaks="fail")) == {}
    assert dropped(GatesConfig(query_leaks="fail", contamination=NEAR.contamination)) == {"q1": "near_leak"}


def test_only_what_can_drop_something_is_part_of_a_selection(tmp_path):
    """A selection that drops nothing keeps its key, whatever the gates are set to."""
    bench = tmp_path / "bench.txt"
    bench.write_text("what is red")
    files = (str(bench),)
    assert [
        drops(one)
        for one in (
            GatesConfig(),
            NEAR,
            GatesConfig(evaluation=files),
            GatesConfig(evaluation=files, query_leaks="fail"),
        )
    ] == [False, True, True, False]
    assert drop_identity(GatesConfig(contamination=ContaminationConfig(words=9))) == ()
    before = drop_identity(GatesConfig(evaluation=files))
    bench.write_text("what is blue")
    assert before != drop_identity(GatesConfig(evaluation=files)) != ()
