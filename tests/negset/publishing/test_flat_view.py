import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from negset.publishing import flat_view
from negset.publishing.flat_view import flat_rows, full_pairs, split_slug
from negset.publishing.parts import part_files
from negset.tables import read_table


def test_rows_are_query_positive_and_negatives_by_rank(staged):
    train, test = staged.folder / "data/ntuples/train", staged.folder / "data/ntuples/test"
    assert read_table(train / "part-00000.parquet").rows() == [
        (
            "What is red",
            "Red\na colour of blood",
            "green is a colour <script>alert('d05')</script>",
            "Blue\nthe colour of the sky",
        ),
        (
            "what is  RED",
            "the colour at the long end",
            "green is a colour <script>alert('d05')</script>",
            "wine may be red",
        ),
    ]
    assert read_table(test / "part-00000.parquet").rows() == [
        ("how to swim", "move your arms and legs", "Blue\nthe colour of the sky", "Diving\nis not swimming")
    ]


def test_files_are_cut_without_changing_a_row(tiny_set, staged, tmp_path, monkeypatch):
    monkeypatch.setattr(flat_view, "TUPLE_ROWS", 1)
    cut = tiny_set.stage(tmp_path / "cut")
    assert len(part_files(cut.folder, "ntuples")) == 3
    rows = [pl.concat(map(read_table, part_files(one.folder, "ntuples"))).rows() for one in (cut, staged)]
    assert rows[0] == rows[1]


@given(
    kept=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    positives=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), unique=True, max_size=12),
    wanted=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_each_negative_stands_under_its_rank(kept, positives, wanted, order):
    """Queries that are short or unknown, several positives of one, and rows in any order."""
    ranked = [
        (f"q{at}", f"d{(at * 3 + rank) % 10}", rank) for at, count in enumerate(kept) for rank in range(1, count + 1)
    ]
    order.shuffle(ranked)
    negatives = pl.DataFrame(ranked, schema=["query_id", "doc_id", "rank"], orient="row").cast({"rank": pl.Int32})
    queries = pl.DataFrame({"query_id": [f"q{at}" for at in range(len(kept))]}).with_columns(split=pl.lit("a"))
    queries = queries.with_columns(text=pl.col("query_id") + " asks")
    judged = [(f"q{at}", f"d{doc}", "a") for at, doc in positives]
    pairs = full_pairs(
        queries,
        pl.DataFrame(judged, schema=dict.fromkeys(("query_id", "doc_id", "split"), pl.String), orient="row"),
        negatives.cast({"query_id": pl.String, "doc_id": pl.String}),
        wanted,
    )
    texts = pl.DataFrame({"doc_id": [f"d{at}" for at in range(9, -1, -1)]}).with_columns(text=pl.col("doc_id") + "!")
    asked = dict(zip(queries["query_id"], kept, strict=True))
    negative = {(query, rank): f"{doc}!" for query, doc, rank in ranked}
    assert flat_rows(pairs, texts, negatives.cast({"query_id": pl.String, "doc_id": pl.String}), wanted).rows() == [
        (f"{query} asks", f"{doc}!", *(negative[query, rank] for rank in range(1, wanted + 1)))
        for query, doc, _ in sorted(judged)
        if asked.get(query, 0) >= wanted
    ]


def test_a_split_never_leaves_its_folder():
    assert split_slug("train") == "train"
    hostile = ["../../evil", "/etc", "", ".", "a/b", "Train", "tráin", "dev-2", "x" * 300]
    slugs = [split_slug(name) for name in hostile]
    assert len(set(slugs)) == len(hostile)
    assert all(slug.replace("_", "").isalnum() and slug.isascii() and len(slug) < 64 for slug in slugs)
