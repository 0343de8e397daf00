import numpy as np
import pytest

from negset import building
from negset.errors import ConfigError
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import votes
from schemas.config import BuildConfig, MineConfig
from schemas.teach import TeachConfig

TEXT = "query_id,doc_id,vote,rater\nq,a,yes,r\nq,a,no,s\nq,b,no,r\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(TEXT)
    return path


def test_a_score_is_the_share_of_yes_and_what_nobody_voted_on_has_none(given, file):
    inputs = given({name: name for name in "abc"}, {"q": "x"}, [], [], votes={"path": str(file)})
    found = votes.open_teacher(inputs).score(Pairs(np.zeros(3, np.int64), np.arange(3)))
    assert found[:2].tolist() == [0.5, 0.0]
    assert np.isnan(found[2])


def test_the_content_of_the_file_counts_and_not_its_place(file, tmp_path):
    def name(path):
        return votes.identity(None, TeachConfig.model_validate({"votes": {"path": str(path)}}))

    other = tmp_path / "other.csv"
    other.write_text(TEXT)
    assert name(other) == name(file)
    other.write_text(TEXT + "q,b,yes,t\n")
    assert name(other) != name(file)


def test_without_a_file_it_says_what_to_set():
    with pytest.raises(ConfigError, match=r"teach\.votes\.path: it is empty.*negset audit"):
        votes.check(TeachConfig(), MineConfig())


def test_people_overrule_the_scores_of_a_build(select, store, beir, tmp_path):
    """A pair they call relevant becomes a positive, one they do not agree on is neither, one they refuse stays."""
    path, recipe = tmp_path / "votes.csv", tmp_path / "r.toml"
    rules = ('name = "ambiguous_votes"', 'name = "pseudo_positive"\nby = "votes"\nthreshold = 0.5', 'name = "top"')
    recipe.write_text("".join(f"[[rules]]\n{rule}\n" for rule in rules))

    def build(name):
        return BuildConfig.model_validate(
            {
                "name": "small",
                "source": {"format": "beir", "path": str(beir)},
                "mine": {"miners": ["bm25"], "depth": 20},
                "recipe": {"name": name},
                "teach": {"votes": {"path": str(path), "min_votes": 2}},
            }
        )

    yes, doubt, no, alone = select(build("naive"), store).negatives()["q01"][:4]
    rows = [(yes, "yes"), (yes, "yes"), (doubt, "yes"), (doubt, "no"), (no, "no"), (no, "no"), (alone, "yes")]
    path.write_text("query_id,doc_id,vote,rater\n" + "".join(f"q01,{doc},{vote},\n" for doc, vote in rows))
    selected = select(build(str(recipe)), store)
    assert selected.rejections("q01") | {"d002": ""} == {
        "d002": "",
        yes: "pseudo_positive",
        doubt: "ambiguous_votes",
        alone: "ambiguous_votes",
    }
    assert selected.negatives()["q01"][0] == no
    positives = selected.table("positives")
    assert yes in positives.filter(positives["query_id"] == "q01")["doc_id"].to_list()
    facts = building.describe(build(str(recipe)), selected.refs, store).model_dump_json()
    assert str(tmp_path) not in facts
    assert set(building.describe(build(str(recipe)), selected.refs, store).teachers) == {"votes", "vote_agreement"}
