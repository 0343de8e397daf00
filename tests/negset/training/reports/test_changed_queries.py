import polars as pl

from negset.training.reports.changed_queries import most_changed

RANKINGS = pl.DataFrame(
    [
        (query, doc, model, rank, 1.0 / rank)
        for query, model, docs in [
            ("b", "after", "yx"),
            ("b", "before", "xy"),
            ("c", "before", "yz"),
            ("c", "after", "zw"),
        ]
        for rank, doc in enumerate(docs, start=1)
    ],
    schema=["query_id", "doc_id", "model", "rank", "score"],
    orient="row",
)
POSITIVES = pl.DataFrame({"query_id": ["b", "b", "c"], "doc_id": ["y", "q", "y"]})


def test_gains_and_losses_largest_first(measured):
    per_query = measured({"a": (0.5, 0.5), "c": (0.9, 0.1), "d": (0.6, 0.5), "b": (0.2, 0.9), "e": (0.1, 0.8)})
    gained, lost = most_changed(per_query, RANKINGS, POSITIVES, 5)
    assert [one.query_id for one in gained] == ["b", "e"]  # equal gains by id; what did not change is in neither
    assert [one.query_id for one in lost] == ["c", "d"]
    gained, lost = most_changed(per_query, RANKINGS, POSITIVES, 1)
    assert ([one.query_id for one in gained], [one.query_id for one in lost]) == (["b"], ["c"])


def test_results_before_and_after_with_positives_marked(measured):
    (gained,), _ = most_changed(measured({"b": (0.2, 0.9)}), RANKINGS.reverse(), POSITIVES, 3)
    assert [(found.doc_id, found.rank, found.positive) for found in gained.found_before] == [
        ("x", 1, False),
        ("y", 2, True),
    ]
    assert [(found.doc_id, found.positive) for found in gained.found_after] == [("y", True), ("x", False)]
    assert gained.positives == ("q", "y")
    assert (gained.before, gained.after) == (0.2, 0.9)
