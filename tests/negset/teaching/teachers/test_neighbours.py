import numpy as np
import pytest

from negset.errors import ConfigError
from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import neighbours
from schemas.config import BuildConfig, MineConfig


def test_an_unlabelled_document_among_positives_scores_high(teaching_inputs, memory_snapshot, memory_vectors):
    documents = ["apple pear plum", "apple pear fig", "apple pear quince", "lorry train tram", "lorry train bus"]
    vectors = memory_vectors()
    mining = MiningInputs(memory_snapshot({}, {"q": "q"}, []), MineConfig(), 13, "encoder", vectors, vectors)
    labelled = Pairs(np.array([0, 0, 1]), np.array([0, 1, 3]))
    asked = Pairs(np.array([0, 0]), np.array([2, 4]))
    opened = neighbours.open_teacher(
        teaching_inputs(["fruit", "vehicles"], documents, labelled, [asked], mining=mining)
    )
    near, far = opened.score(asked)
    assert near > 0.9
    assert far < 0.1
    assert np.isnan(opened.score(Pairs(np.array([1]), np.array([3])))).all()


def test_in_a_build_every_candidate_has_a_share(select, store, beir, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('[[rules]]\nname = "labelled_neighbours"\nshare = 0.2\n[[rules]]\nname = "top"\nk = 3\n')
    config = {
        "name": "small",
        "source": {"format": "beir", "path": str(beir)},
        "encoder": {"dimensions": 16},
        "mine": {"miners": ["dense"], "depth": 20},
        "recipe": {"name": str(path)},
        "teach": {"neighbours": {"k": 3}},
    }
    selected = select(BuildConfig.model_validate(config), store)
    scores = selected.table("candidates").explode("scores").unnest("scores")
    share = scores.filter((scores["name"] == "neighbours") & ~scores["is_positive"])
    assert share.height == selected.table("candidates").filter(~selected.table("candidates")["is_positive"]).height
    assert share["value"].is_between(0, 1).all()
    assert share["value"].n_unique() > 2
    rejected = share.filter(share["rejected_by"].cast(str) == "labelled_neighbours")
    assert rejected.height
    assert (rejected["value"] > 0.2).all()


def test_without_vectors_it_says_what_is_lacking(teaching_inputs, memory_snapshot):
    mining = MiningInputs(memory_snapshot({}, {"q": "q"}, []), MineConfig(), 13)
    one = Pairs(np.array([0]), np.array([0]))
    with pytest.raises(ConfigError, match=r"add 'dense' to mine\.miners"):
        neighbours.open_teacher(teaching_inputs(labelled=one, candidates=[one], mining=mining))
