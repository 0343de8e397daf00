import numpy as np
import polars as pl
import pytest

from negset import building
from negset.errors import ContractError
from negset.snapshot import open_snapshot
from negset.teaching.scoring import open_scores
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import guide
from negset.vectors import open_vectors
from schemas.config import BuildConfig

RECIPE = '[[rules]]\nname = "margin"\nby = "guide"\nmargin = 0.0\n[[rules]]\nname = "top"\nk = 3\n'


@pytest.fixture
def config(tmp_path, beir):
    recipe = tmp_path / "guided.toml"
    recipe.write_text(RECIPE)

    def make(**changes):
        return BuildConfig.model_validate(
            {
                "name": "small",
                "source": {"format": "beir", "path": str(beir), **changes.pop("source", {})},
                "encoder": {"dimensions": 16},
                "mine": {"miners": ["dense", "bm25"], "depth": 20, "splits": ["train"]},
                "recipe": {"name": str(recipe)},
                "teach": {"guide": {"encoder": {"dimensions": 40}, **changes}},
            }
        )

    return make


def expected(selected, store):
    """Give the guide's cosine of every query and document, by their rows."""
    snapshot, refs = open_snapshot(store, selected.refs.mining.snapshot), selected.refs.guide
    parts = []
    for role in ("query", "document"):
        ids, texts = building.role_texts(snapshot, role)
        vectors = open_vectors(store, getattr(refs, f"{role}_vectors")).gather(texts).astype(np.float64)
        parts.append(dict(zip(ids, vectors, strict=True)))
    return {(query, doc): float(a @ b) for query, a in parts[0].items() for doc, b in parts[1].items()}


def given_scores(selected):
    rows = selected.table("candidates").explode("scores").unnest("scores").filter(pl.col("name") == "guide")
    return {(query, doc): value for query, doc, value in rows.select("query_id", "doc_id", "value").iter_rows()}


def test_every_candidate_has_the_guides_cosine(select, config, store):
    selected = select(config(), store)
    given, right = given_scores(selected), expected(selected, store)
    assert len(given) == selected.table("candidates").height
    assert all(abs(value - right[pair]) < 2e-6 for pair, value in given.items())


def test_a_candidate_goes_exactly_where_the_guide_puts_it_above_the_lowest_positive(select, config, store):
    """The row's own threshold, as in GISTEmbed; the threshold of another query would reject others."""
    selected = select(config(), store)
    right, qrels = expected(selected, store), open_snapshot(store, selected.refs.mining.snapshot).qrels()
    lowest = {
        query: min(right[query, doc] for doc in docs)
        for query, docs in qrels.group_by("query_id").agg("doc_id").iter_rows()
    }
    rejected = 0
    for query, doc, is_positive, by in (
        selected.table("candidates").select("query_id", "doc_id", "is_positive", "rejected_by").iter_rows()
    ):
        if not is_positive and abs(right[query, doc] - lowest[query]) > 1e-5:
            assert (by == "margin") == (right[query, doc] > lowest[query])
            rejected += by == "margin"
    assert rejected


def test_pairs_below_the_depth_have_no_score_and_are_rejected(select, config, store):
    selected = select(config(depth=5), store)
    given = given_scores(selected)
    rows = selected.table("candidates").filter(~pl.col("is_positive"))
    unseen = [
        by
        for query, doc, by in rows.select("query_id", "doc_id", "rejected_by").iter_rows()
        if (query, doc) not in given
    ]
    assert 0 < len(given) < selected.table("candidates").height
    assert set(unseen) == {"margin"}


def test_partitions_leave_no_trace_in_the_scores(select, config, store):
    one, three = (select(config(source={"partitions": parts}), store) for parts in (1, 3))
    contents = [selected.refs.scores["guide"].content for selected in (one, three)]
    assert contents[0] == contents[1]
    scores = open_scores(store, one.refs.scores["guide"])
    assert np.all(np.diff(scores.pairs) > 0)


def test_a_guide_that_mines_too_agrees_with_its_miner(select, config, store):
    same = config()
    same = same.model_copy(update={"encoder": same.teach.guide.encoder})
    selected = select(same, store)
    rows = selected.table("candidates").explode("scores").unnest("scores").with_columns(pl.col("name").cast(pl.String))
    wide = rows.pivot(on="name", index=["query_id", "doc_id"], values="value")
    assert (wide["dense"] - wide["guide"]).abs().max() < 2e-6


def test_without_vectors_it_says_what_is_lacking(teaching_inputs):
    with pytest.raises(ContractError, match=r"teach\.guide\.encoder"):
        guide.open_teacher(teaching_inputs()).score(Pairs(np.array([0]), np.array([0])))
