"""What makes a published partition stale beside its rows: files that the options name by place alone."""

import polars as pl

from negset.periods import staleness

DENSE = {"mine": {"miners": ["dense"], "depth": 6}, "recipe": {"name": "naive", "negatives": 2}}


def test_other_texts_to_be_held_against_make_stale(dataset, tmp_path):
    held = tmp_path / "held.txt"
    held.write_text("something else\n")
    dataset.options = {"gates": {"evaluation": [str(held)]}}
    dataset.backfill()
    assert set(dataset.states().values()) == {"published"}
    held.write_text("something else\nand more\n")
    assert dataset.why("2024-01") == "gates.evaluation holds other texts"


def test_another_run_makes_stale(dataset, tmp_path):
    run = tmp_path / "run.parquet"
    rows = [(query, f"d{place:03}", 1.0 - place / 10) for query in dataset.queries for place in range(6)]
    written = pl.DataFrame(rows, schema=["query_id", "doc_id", "score"], orient="row")
    written.write_parquet(run)
    dataset.options = {
        "mine": {"miners": ["run"], "run": {"path": str(run)}, "depth": 6},
        "recipe": {"name": "naive", "negatives": 2},
    }
    dataset.backfill()
    assert dataset.states()["2024-01"] == "published"
    written.with_columns(pl.col("score") * 0.5).write_parquet(run)
    assert dataset.why("2024-01") == "the file of mine.run changed"


def test_an_encoder_of_other_files_makes_stale_and_a_grown_corpus_is_not_taken_for_one(dataset, monkeypatch):
    dataset.options = {**DENSE, "encoder": {"backend": "lsa", "dimensions": 4}}
    dataset.backfill()
    assert set(dataset.states().values()) == {"published"}
    dataset.add_document("2024-03")  # LSA is fitted on the corpus: its fingerprint moves with the rows
    dataset.write()
    assert dataset.why("2024-03") == "documents 30 -> 31 since it was published"
    monkeypatch.setattr(staleness, "encoder_fingerprint", lambda *_: "other")
    assert dataset.why("2024-01") == "the encoder's files changed"
