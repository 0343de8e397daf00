from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from negset.errors import ConfigError
from negset.teaching.cross_fitting import fit_logistic
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import yes_no
from negset.teaching.teachers.yes_no import chance_of_yes
from negset.teaching.training_pairs import others_positives
from schemas.teach import TeachConfig

TOPICS = 10


def planted(given, **options):
    """Give a world of topics in which a query's two relevant documents hold its words; one is labelled."""
    documents, queries, labels = {}, {}, []
    for topic in range(TOPICS):
        words = [f"word{topic}x{number}" for number in range(4)]
        queries[f"q{topic}"] = " ".join(words)
        for number in range(6):
            own = words if number < 2 else [f"other{topic}x{number}", "plain", "text", "here"]
            documents[f"d{topic}{number}"] = " ".join([*own, "same", f"filler{number}"])
        labels.append((f"q{topic}", f"d{topic}0"))
    near = {str(topic): {str(topic), str((topic + 1) % TOPICS)} for topic in range(TOPICS)}
    pairs = [(query, doc) for query in queries for doc in documents if doc[1] in near[query[1]]]
    scores = {(query, doc): float(query[1] == doc[1]) + int(doc[2]) % 2 / 10 for query, doc in pairs}
    return given(documents, queries, labels, pairs, {"dense": scores}, **options)


def scored(inputs, topic):
    docs = inputs.mining.snapshot.documents()["doc_id"].to_list()
    row = docs.index(f"d{topic}0")
    return yes_no.open_teacher(inputs).score(Pairs(np.full(6, topic), np.arange(row, row + 6)))


def test_a_hidden_positive_says_yes_and_what_does_not_match_says_no(given):
    for topic in (0, 4, 9):
        labelled, hidden, *unrelated = scored(planted(given), topic)
        assert min(labelled, hidden) > 0.5 > max(unrelated)


def test_the_heads_are_what_the_losses_ask_for():
    """Both heads minimised as the paper writes them, by another method, give the same yes."""
    draw = np.random.default_rng(2)
    features_PF = draw.standard_normal((200, 3))
    relevant_P = features_PF[:, 0] + draw.standard_normal(200) > 1
    mean_F, deviation_F = features_PF.mean(axis=0), features_PF.std(axis=0)
    rows_PG = np.column_stack([(features_PF - mean_F) / deviation_F, np.ones(200)])

    def loss(heads):
        yes, no = rows_PG @ heads[:4], rows_PG @ heads[4:]
        both = np.logaddexp(yes, no)
        ridge = (heads[:3] @ heads[:3] + heads[4:7] @ heads[4:7]) / 100
        return -(yes - both)[relevant_P].mean() - (no - both)[~relevant_P].mean() + ridge

    heads = minimize(loss, np.zeros(8), tol=1e-12).x
    np.testing.assert_allclose(heads[:3], -heads[4:7], atol=1e-4)
    model = fit_logistic(features_PF, relevant_P)
    odds_P = model.log_odds(features_PF)
    right = chance_of_yes(rows_PG @ heads[:4], rows_PG @ heads[4:])
    np.testing.assert_allclose(chance_of_yes(odds_P / 2, -odds_P / 2), right, atol=0.02)


def test_whoever_saw_a_query_does_not_score_it(given):
    """Labels that are wrong for one query alone move the scores of the others, and not its own."""
    inputs = planted(given, yes_no={"folds": TOPICS})
    row = inputs.mining.snapshot.documents()["doc_id"].to_list().index("d35")
    wrong = Pairs(inputs.labelled.query, np.where(inputs.labelled.query == 3, row, inputs.labelled.doc))
    ours, others = (Pairs(np.full(60, query), np.arange(60)) for query in (3, 5))
    right, turned = (yes_no.open_teacher(replace(inputs, labelled=part)).score for part in (inputs.labelled, wrong))
    np.testing.assert_allclose(turned(ours), right(ours), atol=0.02)
    assert np.abs(turned(others) - right(others)).max() > 0.1


def test_one_labelled_query_is_not_enough(given):
    inputs = planted(given)
    with pytest.raises(ConfigError, match="two queries"):
        yes_no.open_teacher(replace(inputs, labelled=inputs.labelled[inputs.labelled.query == 3]))


def test_others_are_documents_with_labels_drawn_by_the_seed(given):
    inputs = planted(given)
    one, other = (others_positives(inputs, 5, seed) for seed in (1, 2))
    assert set(one.doc.tolist()) <= set(inputs.labelled.doc.tolist())
    assert one.query.tolist() == np.repeat(np.arange(TOPICS), 5).tolist()
    assert one.doc.tolist() != other.doc.tolist()


def test_options_and_seed_are_in_the_identity(given):
    inputs = planted(given)
    names = {
        str(yes_no.identity(inputs.mining, TeachConfig.model_validate({"yes_no": changes})))
        for changes in ({}, {"folds": 2}, {"others": 1}, {"candidates": 1})
    }
    assert len(names | {str(yes_no.identity(replace(inputs.mining, seed=9), inputs.config))}) == 5
