import filecmp

import polars as pl

from negset.publishing.assembly import assemble_set, false_negatives, published_positives
from negset.publishing.parts import read_parts
from negset.store import stored_files


def test_only_published_queries_and_what_they_name_are_in_the_set(staged):
    assert read_parts(staged.folder, "queries")["query_id"].to_list() == ["q1", "q2", "q3", "q5"]
    # Positives d01 d02 d09 d10 and negatives d05 d06 d07 d08; d04 is the positive of a dropped query.
    wanted = ["d01", "d02", "d05", "d06", "d07", "d08", "d09", "d10"]
    assert read_parts(staged.folder, "documents")["doc_id"].to_list() == wanted
    positives = read_parts(staged.folder, "positives").select("query_id", "doc_id", "relevance", "score", "split")
    assert positives.with_columns(pl.col("score").cast(pl.Float64).round(3)).rows() == [
        ("q1", "d01", 1, 0.9, "train"),
        ("q2", "d02", 2, None, "train"),
        ("q3", "d09", 1, None, "test"),
        ("q5", "d10", 1, None, "train"),
    ]


def test_the_counts_add_up(staged):
    counts = staged.counts
    funnel, queries = counts.candidates, counts.queries
    assert funnel.mined == funnel.positives + sum(funnel.rejected.values()) + funnel.not_sampled + funnel.chosen == 11
    assert (funnel.positives, funnel.rejected, funnel.not_sampled, funnel.chosen) == (
        2,
        {"percent_of_positive": 1},
        1,
        7,
    )
    assert queries.total == queries.kept + queries.short + sum(queries.dropped.values()) == 5
    assert queries.dropped == {"no_candidates": 1}
    assert counts.rows["negatives"] == funnel.chosen
    assert counts.queries_without_tuple == 1
    assert counts.rows_by_split["ntuples"] == {"test": 1, "train": 2}


def test_partitions_of_the_snapshot_do_not_reach_the_bytes(tiny_set, tmp_path):
    one, many = (tiny_set.stage(tmp_path / str(parts), parts=parts).folder for parts in (1, 5))
    assert stored_files(one) == stored_files(many)


def test_candidates_can_be_left_out(tiny_set, tmp_path):
    staged = tiny_set.stage(tmp_path / "staged", keep_candidates=False)
    assert not (staged.folder / "data" / "candidates").exists()
    assert "candidates" not in staged.counts.rows
    assert staged.counts.candidates.mined == 11


def test_a_selection_that_is_staged_already_stays_in_place(staged):
    before = stored_files(staged.folder / "data" / "negatives")
    for table in ("queries", "documents", "positives", "false_negatives", "diagnostics", "ntuples"):
        for path in (staged.folder / "data" / table).rglob("*.parquet"):
            path.rename(path.with_suffix(".old"))
    for table in ("queries", "documents", "positives", "false_negatives", "diagnostics"):
        (staged.folder / "data" / table).rename(staged.folder / f"old-{table}")
    (staged.folder / "data" / "ntuples").rename(staged.folder / "old-ntuples")
    assert (
        assemble_set(staged.folder, staged.snapshot, staged.folder, suspects=["percent_of_positive"]) == staged.counts
    )
    assert stored_files(staged.folder / "data" / "negatives") == before
    name = "part-00000"
    pair = (staged.folder / "data/queries" / f"{name}.parquet", staged.folder / "old-queries" / f"{name}.old")
    assert filecmp.cmp(*pair, shallow=False)


def test_a_pair_judged_in_two_splits_counts_in_its_querys_own(staged, tiny_set):
    rows = (("q3", "d09", 1, "alpha"), ("q3", "d09", 1, "test"), ("q1", "d01", 1, "zeta"), ("q1", "d01", 1, "dev"))
    snapshot = tiny_set.HandMade(qrel_rows=rows)
    queries = read_parts(staged.folder, "queries")
    positives = published_positives(snapshot, queries, tiny_set.candidate_frame().lazy())
    assert positives.select("query_id", "doc_id", "split").rows() == [("q1", "d01", "dev"), ("q3", "d09", "test")]


def test_what_a_rule_relabelled_is_published_as_a_positive_beside_the_labelled_ones(staged, tiny_set):
    found = (pl.col("query_id") == "q1") & (pl.col("doc_id") == "d07")
    candidates = tiny_set.candidate_frame().with_columns(relabelled=found).lazy()
    queries = read_parts(staged.folder, "queries")
    positives = published_positives(staged.snapshot, queries, candidates)
    mine = positives.filter(pl.col("query_id") == "q1")
    assert mine.filter(pl.col("source") == "relabelled").select("doc_id", "relevance", "split").rows() == [
        ("d07", 1, "train")
    ]
    assert mine["doc_id"].to_list() == sorted(mine["doc_id"])
    assert "labelled" in mine["source"]


def test_false_negatives_are_what_suspicious_rules_rejected_among_the_sets_documents(staged, tiny_set):
    queries, documents = (read_parts(staged.folder, table) for table in ("queries", "documents"))
    candidates = tiny_set.candidate_frame().lazy()
    doubtful = false_negatives(candidates, queries, documents, ["percent_of_positive"])
    assert doubtful.select("query_id", "doc_id", "reason", "split").rows() == [
        ("q1", "d07", "percent_of_positive", "train")
    ]
    assert false_negatives(candidates, queries, documents, []).is_empty()
    elsewhere = documents.filter(pl.col("doc_id") != "d07")
    assert false_negatives(candidates, queries, elsewhere, ["percent_of_positive"]).is_empty()
    relabelled = candidates.with_columns(relabelled=pl.lit(value=True))
    assert false_negatives(relabelled, queries, documents, ["percent_of_positive"]).is_empty()
