import numpy as np
import pytest

from negset.errors import ConfigError
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import vote_agreement
from schemas.config import MineConfig
from schemas.teach import TeachConfig


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("query_id,doc_id,vote,rater\nq,a,yes,r\nq,a,no,s\nq,a,yes,t\nq,b,no,r\nq,b,no,s\n")
    return path


def test_it_says_how_far_people_agree(given, file):
    for least, right in ((1, [2 / 3, 1.0]), (3, [2 / 3, 0.0])):
        inputs = given(
            {name: name for name in "abc"}, {"q": "x"}, [], [], votes={"path": str(file), "min_votes": least}
        )
        found = vote_agreement.open_teacher(inputs).score(Pairs(np.zeros(3, np.int64), np.arange(3)))
        assert found[:2].tolist() == right
        assert np.isnan(found[2])


def test_how_many_votes_are_enough_is_in_the_identity(file):
    names = [
        str(
            vote_agreement.identity(
                None, TeachConfig.model_validate({"votes": {"path": str(file), "min_votes": least}})
            )
        )
        for least in (1, 5)
    ]
    assert names[0] != names[1]
    assert str(file) not in names[0]


def test_without_a_file_it_says_what_to_set():
    with pytest.raises(ConfigError, match=r"teach\.votes\.path"):
        vote_agreement.check(TeachConfig(), MineConfig())
