"""Recipes that choose the same are probed once, by the simplest name."""

from dataclasses import replace

import numpy as np
import pytest

from negset.probing.candidates import CURRENT, list_candidates
from negset.probing.distinct import distinct_sets
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig


@pytest.fixture(scope="module")
def candidates():
    config = BuildConfig(
        name="a",
        source=SourceConfig(format="beir", path="x"),
        mine=MineConfig(miners=("dense", "bm25")),
        recipe=RecipeConfig(name="nv-retriever"),
    )
    return {one.name: one for one in list_candidates(config).tried}


def _distinct(candidates, sets):
    return distinct_sets([candidates[one.name] for one in sets], sets)


def test_of_equal_sets_the_simplest_recipe_stays(candidates, collection_of, set_of):
    collection = collection_of([[0], [1]])
    names = ["cocitation", "naive", "naive of dense alone", "abs", "random"]
    sets = [set_of(collection, name, {0: [3, 4], 1: [5]}) for name in names[:4]]
    sets.append(set_of(collection, "random", {0: [3, 4], 1: [6]}))
    kept, left_out = _distinct(candidates, sets)
    assert [one.name for one in kept] == ["naive of dense alone", "random"]
    assert left_out == dict.fromkeys(
        ["cocitation", "naive", "abs"], "it chooses the same negatives as naive of dense alone"
    )


def test_the_configured_recipe_stays_though_a_simpler_one_chooses_the_same(candidates, collection_of, set_of):
    collection = collection_of([[0], [1]])
    kept, left_out = _distinct(candidates, [set_of(collection, name, {0: [3]}) for name in ("naive", CURRENT)])
    assert [one.name for one in kept] == [CURRENT]
    assert left_out == {"naive": f"it chooses the same negatives as {CURRENT}"}


@pytest.mark.parametrize("change", ["weights", "positives", "query"])
def test_sets_that_teach_otherwise_both_stay(candidates, collection_of, set_of, change):
    collection = collection_of([[0], [1]])
    one = set_of(collection, "naive", {0: [3], 1: [4]})
    other = {
        "weights": replace(one, weights=one.weights * 2),
        "positives": replace(one, positives=collection_of([[0], [2]]).positives),
        "query": set_of(collection, "abs", {0: [3, 4]}),  # the same documents, of one query
    }[change]
    kept, left_out = _distinct(candidates, [one, replace(other, name="abs")])
    assert [found.name for found in kept] == ["naive", "abs"]
    assert not left_out
    assert np.array_equal(kept[0].weights, one.weights)
