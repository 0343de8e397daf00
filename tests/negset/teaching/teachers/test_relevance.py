from dataclasses import replace

import numpy as np
import pytest

from negset import building
from negset.errors import ConfigError
from negset.teaching import cross_fitting
from negset.teaching.cross_fitting import deal_folds, fit_folds, fit_logistic
from negset.teaching.pair_features import open_features
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import relevance
from negset.teaching.training_pairs import drawn_candidates, random_documents, training_pairs
from schemas.config import BuildConfig
from schemas.teach import TeachConfig

TOPICS = 12


def auc(positive, other):
    """Give the share of pairs of a positive and another that are in order."""
    gaps = np.subtract.outer(np.asarray(positive), np.asarray(other))
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


def planted(given, noise=0.3, **options):
    """Give a world of topics: a query's relevant documents share its words, and half of them are labelled."""
    draw = np.random.default_rng(4)
    documents, queries, labels, hidden, scores = {}, {}, [], [], {}
    for topic in range(TOPICS):
        words = [f"word{topic}x{number}" for number in range(6)]
        queries[f"q{topic:02}"] = " ".join(words[:4])
        for number in range(4):
            documents[f"d{topic:02}{number}"] = " ".join(
                [*words[number % 3 : number % 3 + 3], f"filler{number}", "same"]
            )
            (labels if number % 2 else hidden).append((f"q{topic:02}", f"d{topic:02}{number}"))
    for query in queries:
        scores |= {(query, doc): (doc[1:3] == query[1:]) * 1.0 + noise * draw.standard_normal() for doc in documents}
    best = {query: sorted(documents, key=lambda doc: -scores[query, doc])[:20] for query in queries}
    pairs = [(query, doc) for query, docs in best.items() for doc in docs]
    return given(documents, queries, labels, pairs, {"dense": scores}, **options), hidden


def scored(inputs):
    """Score every pair of the world, by ids."""
    queries = inputs.mining.snapshot.queries()["query_id"].to_list()
    docs = inputs.mining.snapshot.documents()["doc_id"].to_list()
    pairs = Pairs(np.repeat(np.arange(len(queries)), len(docs)), np.tile(np.arange(len(docs)), len(queries)))
    found = relevance.open_teacher(inputs).score(pairs).reshape(len(queries), len(docs))
    return {(query, doc): found[a, b] for a, query in enumerate(queries) for b, doc in enumerate(docs)}


def test_hidden_positives_stand_above_what_is_irrelevant(given):
    inputs, hidden = planted(given)
    score = scored(inputs)
    other = [value for (query, doc), value in score.items() if query[1:] != doc[1:3]]
    assert auc([score[pair] for pair in hidden], other) > 0.99
    assert all(0 < value < 1 for value in score.values())


def test_the_prior_moves_scores_and_not_their_order(given):
    few, many = (np.array(list(scored(planted(given, relevance={"prior": p})[0]).values())) for p in (0.1, 0.5))
    odds = [np.log(part / (1 - part)) for part in (few, many)]
    np.testing.assert_allclose(odds[1] - odds[0], np.log(9), atol=1e-6)


def test_blocks_leave_no_trace(given):
    one, other = (scored(planted(given, blocks=blocks)[0]) for blocks in (1, 5))
    assert {pair: round(value, 6) for pair, value in one.items()} == {p: round(v, 6) for p, v in other.items()}
    inputs = planted(given)[0]
    teacher, pairs = relevance.open_teacher(inputs), Pairs(np.array([3, 0, 3]), np.array([5, 7, 1]))
    alone = [teacher.score(pairs[np.array([row])])[0] for row in range(3)]
    np.testing.assert_allclose(teacher.score(pairs), alone, atol=1e-12)


def test_the_seed_is_in_the_identity_and_so_are_options(given):
    inputs = planted(given)[0]
    changed = [
        relevance.identity(inputs.mining, TeachConfig.model_validate({"relevance": {name: 2}}))
        for name in ("folds", "random", "candidates")
    ]
    seeded = relevance.identity(replace(inputs.mining, seed=9), inputs.config)
    assert len({str(found) for found in (relevance.identity(inputs.mining, inputs.config), seeded, *changed)}) == 5


def test_a_query_without_labels_is_scored_too(given):
    inputs, _ = planted(given)
    without = replace(inputs, labelled=inputs.labelled[inputs.labelled.query != 3])
    score = scored(without)
    own = [value for (query, doc), value in score.items() if query == "q03" and doc[1:3] == "03"]
    other = [value for (query, doc), value in score.items() if query == "q03" and doc[1:3] != "03"]
    assert min(own) > max(other)


def test_two_labelled_queries_are_enough_whatever_folds_are_asked_for(given):
    inputs, _ = planted(given)
    two = replace(inputs, labelled=inputs.labelled[np.isin(inputs.labelled.query, [2, 7])])
    assert np.isfinite(list(scored(two).values())).all()
    one = replace(inputs, labelled=inputs.labelled[inputs.labelled.query == 2])
    with pytest.raises(ConfigError, match="two queries of different text; there are 1"):
        relevance.open_teacher(one)


def test_every_fold_has_labelled_queries_and_equal_texts_share_one(memory_snapshot):
    texts = {f"q{number:02}": f"text {number // 2}" for number in range(40)}
    snapshot = memory_snapshot({"d": "d"}, texts, [])
    labelled = np.array([0, 2, 4, 6, 8, 10, 12])
    fold_Q = deal_folds(snapshot, labelled, 5, 1)
    assert sorted(set(fold_Q[labelled].tolist())) == [0, 1, 2, 3, 4]
    assert (fold_Q[::2] == fold_Q[1::2]).all()
    assert deal_folds(snapshot, labelled, 5, 2).tolist() != fold_Q.tolist()
    assert set(deal_folds(snapshot, labelled[:3], 5, 1).tolist()) == {0, 1, 2}


def test_labels_that_mean_nothing_teach_nothing_about_other_queries():
    """A model that is fitted on the queries that it scores memorises them; the mutant shows that the test can fail."""
    draw = np.random.default_rng(0)
    query_P = np.repeat(np.arange(40), 10)
    features_PF, relevant_P = draw.standard_normal((400, 60)), draw.random(400) < 0.5
    fold_Q = np.arange(40) % 5

    def measured(fitted):
        found = fitted.probability(features_PF, query_P)
        return auc(found[relevant_P], found[~relevant_P])

    fitted = fit_folds(features_PF, relevant_P, query_P, fold_Q)
    memorising = cross_fitting.CrossFitted((fit_logistic(features_PF, relevant_P),) * 5, fold_Q)
    assert abs(measured(fitted) - 0.5) < 0.08
    assert measured(memorising) > 0.65


def test_the_order_of_rows_changes_no_model():
    draw = np.random.default_rng(1)
    features_PF, query_P = draw.standard_normal((300, 4)), np.repeat(np.arange(30), 10)
    relevant_P = features_PF[:, 0] + draw.standard_normal(300) > 1
    order = draw.permutation(300)
    fold_Q = np.arange(30) % 3
    one = fit_folds(features_PF, relevant_P, query_P, fold_Q).probability(features_PF, query_P)
    other = fit_folds(features_PF[order], relevant_P[order], query_P[order], fold_Q).probability(features_PF, query_P)
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_both_classes_weigh_the_same():
    features_PF = np.concatenate([np.full((5, 1), 1.0), np.full((500, 1), -1.0)])
    model = fit_logistic(features_PF, np.arange(505) < 5)
    assert abs(model.log_odds(np.zeros((1, 1)))[0]) < 1e-6


def test_without_relevant_rows_or_others_there_is_no_model():
    for relevant in (np.zeros(3, bool), np.ones(3, bool)):
        with pytest.raises(ConfigError, match="it has 3 pairs"):
            fit_logistic(np.zeros((3, 1)), relevant)


def test_features_are_what_they_say(given):
    inputs = given(
        {"a": "red fox red", "b": "blue whale", "c": "fox"},
        {"q": "red fox jumps"},
        [],
        [("q", "a"), ("q", "b")],
        {"dense": {("q", "a"): 3.0, ("q", "b"): 1.0}},
    )
    features = open_features(inputs, ["dense"])
    rows = features.of(Pairs(np.zeros(3, np.int64), np.arange(3)))
    by_name = dict(zip(features.names, rows.T, strict=True))
    assert by_name["z_dense"].tolist() == [1.0, -1.0, -1.0]
    idf = {"red": np.log(1 + 2.5 / 1.5), "fox": np.log(1 + 1.5 / 2.5), "jump": np.log(1 + 3.5 / 0.5)}
    np.testing.assert_allclose(by_name["contained"], [2 / 3, 0, 1 / 3])
    np.testing.assert_allclose(by_name["weighted_contained"][2], idf["fox"] / sum(idf.values()))
    np.testing.assert_allclose(by_name["jaccard"], [2 / 3, 0, 1 / 3])
    np.testing.assert_allclose(by_name["document_share"], [1, 0, 1])
    np.testing.assert_allclose(by_name["log_length"], np.log1p([3, 2, 1]))
    np.testing.assert_allclose(by_name["log_length_ratio"], np.log1p([3, 2, 1]) - np.log1p(3))
    assert features.of(Pairs(np.empty(0, np.int64), np.empty(0, np.int64))).shape == (0, 7)


def test_what_is_known_to_be_relevant_is_no_negative_and_neither_is_its_twin(given):
    documents = {"a": "one", "b": "ONE ", "c": "two", "d": "three"}
    inputs = given(documents, {"q": "x", "p": "y"}, [("q", "a")], [("q", doc) for doc in "abcd"])
    examples = training_pairs(inputs, drawn_candidates(inputs, 9, 1), random_documents(inputs, 50, 1))
    assert examples.pairs.doc.tolist() == [0, 2, 3]
    assert set(examples.pairs.query.tolist()) == {1}
    assert examples.relevant.tolist() == [True, False, False]


def test_draws_depend_on_the_seed_and_not_on_blocks(given):
    documents = {f"d{number:02}": f"text {number}" for number in range(50)}
    pairs = [(query, doc) for query in ("p", "q") for doc in documents]

    def drawn(blocks, seed):
        inputs = given(documents, {"q": "x", "p": "y"}, [("q", "d00"), ("p", "d01")], pairs, blocks=blocks)
        found = drawn_candidates(inputs, 5, seed)
        return sorted(zip(found.query.tolist(), found.doc.tolist(), strict=True))

    assert drawn(1, 3) == drawn(2, 3) != drawn(2, 4)
    assert [query for query, _ in drawn(1, 3)] == [0] * 5 + [1] * 5
    assert {doc for query, doc in drawn(1, 3) if query == 0} != {doc for query, doc in drawn(1, 3) if query == 1}


def test_a_build_asks_it_and_partitions_leave_no_trace(select, store, beir, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[rules]]\nname = "max_score"\nby = "relevance"\nthreshold = 0.5\n[[rules]]\nname = "top"\n')

    def content(partitions, seed=1):
        config = BuildConfig.model_validate(
            {
                "name": "small",
                "seed": seed,
                "source": {"format": "beir", "path": str(beir), "partitions": partitions},
                "encoder": {"dimensions": 16},
                "mine": {"miners": ["dense", "bm25", "random"], "depth": 20},
                "recipe": {"name": str(recipe)},
            }
        )
        selected = select(config, store)
        identity = building.describe(config, selected.refs, store).teachers["relevance"]
        assert identity["unscored"] == 0
        assert identity["pairs"] > 400
        return selected.refs.scores["relevance"].content

    assert content(1) == content(3) != content(1, seed=2)
