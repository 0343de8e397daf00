import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import hops
from schemas.config import BuildConfig, MineConfig

ABOUT = {"query_id": pl.String, "metadata": pl.String}


@pytest.fixture
def scored(teaching_inputs, memory_snapshot):
    """Give a function from labels to {(query, doc): score} of all pairs; queries and documents bear the same names."""

    def score(labels, documents="abcd", queries="abcd", **seldom):
        snapshot = memory_snapshot(
            {name: f"text {name}" for name in documents}, {name: f"query {name}" for name in queries}, []
        )
        about = pl.DataFrame({"query_id": list(seldom), "metadata": list(seldom.values())}, schema=ABOUT)
        snapshot._queries = snapshot.queries().join(about, on="query_id", how="left", maintain_order="left")
        mining = MiningInputs(snapshot, MineConfig(), 13)
        labelled = Pairs(
            np.array([queries.index(query) for query, _ in labels], dtype=np.int64),
            np.array([documents.index(doc) for _, doc in labels], dtype=np.int64),
        )
        opened = hops.open_teacher(teaching_inputs(queries, documents, labelled, mining=mining))
        pairs = list(itertools.product(range(len(queries)), range(len(documents))))
        values = opened.score(Pairs(*np.array(pairs, dtype=np.int64).T)).tolist()
        return {(queries[query], documents[doc]): value for (query, doc), value in zip(pairs, values, strict=True)}

    return score


def test_a_positive_of_a_positive_is_two_hops_away_and_no_further(scored):
    """The chain a, b, c, d, labelled both ways."""
    found = scored([pair for a, b in ("ab", "bc", "cd") for pair in ((a, b), (b, a))])
    assert found["a", "c"] == found["c", "a"] == found["b", "d"] == 1
    assert found["a", "d"] == found["d", "a"] == 0


def test_a_shared_target_counts_too(scored):
    assert scored(["ba", "ca"])["b", "c"] == 1


def test_a_query_that_is_no_document_has_its_positives_neighbours(scored):
    found = scored(["za", "bc", "ab"], queries="abcdz")
    assert (found["z", "b"], found["z", "c"], found["z", "d"]) == (1, 0, 0)


def test_what_is_cited_with_the_query_too_seldom_is_neither(scored):
    """a and b are positives of each other; a and c were cited together once, which does not count."""
    found = scored(["ab", "ba"], a='{"cited_with":["c","gone"],"year":7}', b='{"year":7}')
    assert found["a", "c"] == 1
    assert found["a", "d"] == found["c", "a"] == 0  # c is no query of the citations: it says nothing


def test_without_labels_nothing_is_near(scored):
    assert set(scored([]).values()) == {0.0}
    assert set(scored(["za"], queries="z").values()) == {0.0}


def test_it_is_what_the_definition_says(scored):
    @given(st.sets(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcd"))))
    def check(labels):
        found = scored(sorted(labels), queries="abcde")
        near = {(a, b) for a, b in labels if a in "abcd"} | {(b, a) for a, b in labels if a in "abcd"}
        for query, doc in itertools.product("abcde", "abcd"):
            assert found[query, doc] == any((query, mid) in labels and (mid, doc) in near for mid in "abcd")

    check()


def test_in_a_build_of_citations_what_is_two_hops_away_is_masked_and_no_negative(select, store, tmp_path):
    names = [f"d{at}" for at in range(12)]
    texts = [f"paper on subject {at // 4} number {at}" for at in range(12)]
    pl.DataFrame({"doc_id": names, "text": texts}).write_parquet(tmp_path / "corpus.parquet")
    chain = [("x", "d0"), ("x", "d1"), ("y", "d1"), ("y", "d2"), ("z", "d2"), ("z", "d3")]
    pl.DataFrame(chain, schema=["citing_id", "cited_id"], orient="row").write_parquet(tmp_path / "citations.parquet")
    config = {
        "name": "papers",
        "source": {"format": "citations", "path": str(tmp_path)},
        "encoder": {"dimensions": 4},
        "mine": {"miners": ["dense"], "depth": 20},
        "recipe": {"name": "cocitation", "negatives": 12},
    }
    found = {}
    for recipe in ("cocitation", "naive"):
        config["recipe"]["name"] = recipe
        found[recipe] = set(
            select(BuildConfig.model_validate(config), store).table("negatives").select("query_id", "doc_id").rows()
        )
    two_hops = {("d0", "d2"), ("d2", "d0"), ("d1", "d3"), ("d3", "d1")}
    assert not found["cocitation"] & two_hops
    assert {("d0", "d3"), ("d3", "d0")} <= found["cocitation"]
    assert found["naive"] & two_hops


def test_in_a_build_what_is_cited_together_too_seldom_is_neither(select, store, tmp_path):
    """a and b are cited together twice, a and c once; d is cited with nobody."""
    texts = {name: f"paper on one subject, {name}" for name in "abcd"}
    pl.DataFrame({"doc_id": list(texts), "text": list(texts.values())}).write_parquet(tmp_path / "corpus.parquet")
    citations = [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"), ("z", "a"), ("z", "c")]
    pl.DataFrame(citations, schema=["citing_id", "cited_id"], orient="row").write_parquet(
        tmp_path / "citations.parquet"
    )
    config = {
        "name": "papers",
        "source": {"format": "citations", "path": str(tmp_path), "min_cocitations": 2},
        "encoder": {"dimensions": 2},
        "mine": {"miners": ["random"]},
        "recipe": {"name": str(tmp_path / "r.toml"), "negatives": 12},
    }
    found = {}
    for rules in (["two_hops"], []):
        text = "".join(f'[[rules]]\nname = "{name}"\n' for name in [*rules, "uniform"])
        (tmp_path / "r.toml").write_text(text + "k = 4\n")
        negatives = select(BuildConfig.model_validate(config), store).table("negatives")
        found[len(rules)] = set(negatives.select("query_id", "doc_id").rows())
    assert found[1] == {("a", "d"), ("b", "d"), ("b", "c")}
    assert found[0] == {*found[1], ("a", "c")}
