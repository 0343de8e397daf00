"""Defects of other tools and of authors' code, each planted here; the numbers are those of the issue that lists them.

D5 and D6 (geography) stand beside their miner, in `tests/negset/mining/miners/test_geo.py`. Those of losses stand in
`tests/negset/training/losses`: D7 in `test_triplet.py`, D8 in `test_info_nce.py`, D11 in `test_margin_mse.py`, D14 in
`test_info_nce.py` and `test_gist.py`, D15 in `test_adore.py`. What D7, D8 and D11 are for batch plans is tested in
`tests/negset/batching/plans`: `test_ngame.py`, `test_openshape.py`, `test_tas_balanced.py`.
"""

import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from negset.encoders.encoder import encoder_fingerprint
from negset.lots import id_keys
from negset.mining.loss_history import weigh_pairs
from negset.mining.query_budget import share_budget
from negset.mining.query_clusters import cluster_rows, spectral_coordinates
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig
from schemas.encoder import EncoderConfig


def test_each_defect_has_a_test_that_is_named_by_it():
    """So that the list above cannot promise what is not there."""
    files = Path(__file__).parents[1].rglob("test_*.py")
    named = {
        int(number) for file in files for number in re.findall(r"^def test_d(\d+)_", file.read_text(), re.MULTILINE)
    }
    assert named == set(range(1, 17))


@pytest.fixture
def built(tmp_path, store, select, collection):
    """Give a function that builds from the cosines of documents to one query, and the labelled ones among them."""

    def build(cosines, positives, **recipe):
        documents = {name: f"text of {name}" for name in cosines}
        folder = collection(tmp_path / "c", documents, {"q": "the query"}, [("q", name, 1) for name in positives])
        vectors = {name: [cosine, math.sqrt(1 - cosine**2)] for name, cosine in cosines.items()}
        paths = []
        for role, rows in (("query", {"q": [1.0, 0.0]}), ("document", vectors)):
            paths.append(str(tmp_path / f"{role}.parquet"))
            values = pl.Series(list(rows.values()), dtype=pl.List(pl.Float32))
            pl.DataFrame({"id": list(rows), "vector": values}).write_parquet(paths[-1])
        config = BuildConfig(
            name="defects",
            source=SourceConfig(format="parquet", path=str(folder)),
            encoder=EncoderConfig(backend="precomputed", query_vectors=paths[0], document_vectors=paths[1]),
            mine=MineConfig(miners=("dense",), depth=20),
            recipe=RecipeConfig(**{"negatives": 5, **recipe}),
        )
        return select(config, store)

    return build


def test_d1_a_share_of_a_negative_positive_score(built):
    """A relative margin as positive * (1 - m) depends on the sign: -.50 * .95 = -.475 would keep -.49."""
    found = built({"p": -0.50, "near": -0.49, "far": -0.60}, ["p"], name="perc-pos")
    assert found.negatives() == {"q": ["far"]}
    assert -0.50 * (1 - 0.05) > -0.49


def test_d2_what_was_rejected_never_comes_back_to_fill_the_list(built):
    """Five are wanted and two survive 95 % of .8; masked by -inf, a top-k of five returns three of the masked."""
    scores = {"d0": 0.99, "d1": 0.98, "d2": 0.97, "d3": 0.96, "d4": 0.5, "d5": 0.4}
    found = built({**scores, "p": 0.8}, ["p"], name="perc-pos")
    assert found.negatives() == {"q": ["d4", "d5"]}
    masked = np.array([score if score <= 0.76 else -np.inf for score in scores.values()])
    assert set(np.argsort(-masked, kind="stable")[:5].tolist()) > {4, 5}


def test_d3_an_id_is_no_substring_of_another(built):
    """With the positives of a query as one string, `"1" in "11"` calls document 1 a positive."""
    found = built({"11": 0.9, "1": 0.5, "2": 0.4}, ["11"], name="naive")
    assert found.negatives() == {"q": ["1", "2"]}
    assert found.rejections("q") == {"11": "known_positive"}


def test_d4_every_label_of_a_query_counts(built):
    """With one positive for each query, the last label wins and the others become its hardest negatives."""
    found = built({"a": 0.9, "b": 0.8, "n": 0.5}, ["a", "b"], name="naive")
    assert found.negatives() == {"q": ["n"]}
    assert found.rejections("q") == {"a": "known_positive", "b": "known_positive"}


def test_d4_fifteen_labels_leave_the_window_its_width(built):
    """A pool of 20 with slack for ten labels is too short for a query with 15 of them, and the authors' code stops."""
    labels = {f"p{at:02}": 0.99 - 0.01 * at for at in range(15)}
    others = {f"n{at:02}": 0.8 - 0.01 * at for at in range(30)}
    found = built({**labels, **others}, list(labels), name="naive", negatives=20)
    assert found.negatives() == {"q": list(others)[:20]}


def test_d9_a_weight_is_no_density_and_means_compare_with_losses():
    """A normal density at mu + 2 sigma is 1.08 for sigma .05; a mean scaled by epoch is .765 where losses are 1.926."""
    assert math.exp(-2) / (0.05 * math.sqrt(2 * math.pi)) == pytest.approx(1.08, abs=0.005)
    loss_PE = 1.926 + 0.05 * np.random.default_rng(0).standard_normal((400, 1)).repeat(8, axis=1)
    pairs = [f"q{at}" for at in range(400)]
    stats = pl.DataFrame(
        {
            "query_id": np.repeat(pairs, 8),
            "positive_id": "d",
            "epoch": list(range(8)) * 400,
            "loss": loss_PE.ravel(),
        }
    )
    found = weigh_pairs(stats, too_hard=2.0)
    assert (found["flag"] != "ok").any()
    assert found["weight"].is_between(0, 1).all()
    assert found["mean_loss"].mean() == pytest.approx(loss_PE.mean())


def test_d10_a_budget_is_spent_to_the_last_unit():
    """Rounded down and cut by size, shares .9, .05, .05 of 1000 for clusters of 100, 5000 and 5000 spend 200."""
    assert share_budget(1000, np.array([100, 5000, 5000]), np.array([0.9, 0.05, 0.05])).tolist() == [100, 450, 450]


def test_d12_a_greater_offset_is_harder(built):
    """The formula has (score - positive - b)², the authors' code + b: .744 or .264 for the hardest, b = .2, a = 10."""
    cosines = {"d0": 0.8, "d1": 0.6, "d2": 0.4, "d3": 0.2}
    ours = {"units": "raw", "sharpness": 10.0, "offset": 0.2}
    found = built({**cosines, "p": 0.8}, ["p"], name="simans", negatives=4, options={"simans": ours})
    chances = dict(found.table("negatives").select("doc_id", "sample_prob").iter_rows())
    added = [math.exp(-10 * (cosine - 0.8 + 0.2) ** 2) for cosine in cosines.values()]
    assert chances["d0"] == pytest.approx(0.744, abs=5e-4)
    assert added[0] / sum(added) == pytest.approx(0.264, abs=5e-4)


def test_d13_a_prompt_is_part_of_what_vectors_are_named_by():
    """Named by text alone, the vectors of one prompt would be served for another."""
    prompts = ({}, {"query_prompt": "find "}, {"document_prompt": "find "})
    configs = [EncoderConfig(backend="api", url="http://localhost", model="m", **prompt) for prompt in prompts]
    assert len({encoder_fingerprint(config, "snapshot") for config in configs}) == 3


def test_d16_one_width_for_all_cannot_tell_rings_apart():
    """With the median distance as its width a kernel is blind to two rings; with local widths it is not."""
    chance = np.random.default_rng(0)
    ring_Q, keys_Q = np.arange(300) % 2, id_keys([f"q{at}" for at in range(300)])
    angle_Q, radius_Q = 2 * np.pi * chance.random(300), 1 + 3 * ring_Q + 0.08 * chance.standard_normal(300)
    points_QD = np.stack([radius_Q * np.cos(angle_Q), radius_Q * np.sin(angle_Q)], axis=1)
    gaps_QQ = np.linalg.norm(points_QD[:, None] - points_QD[None], axis=2)
    median = float(np.median(gaps_QQ[np.triu_indices(300, 1)]))
    found = {
        "local": cluster_rows(points_QD, keys_Q, 2, "spectral"),
        "median": cluster_rows(spectral_coordinates(points_QD, 2, median), keys_Q, 2),
        "k-means": cluster_rows(points_QD, keys_Q, 2),
    }
    agreement = {name: adjusted_rand_score(ring_Q, cluster_Q) for name, cluster_Q in found.items()}
    assert agreement["local"] == 1.0
    assert max(agreement["median"], agreement["k-means"]) < 0.1
