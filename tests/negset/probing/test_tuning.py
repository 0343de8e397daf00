"""Tuning finds what is best on this data, says what it is worth, and never reads the test split."""

import random

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError
from negset.probing.candidates import CURRENT, list_candidates
from negset.probing.choosing import choose_recipe, distinct_ledgers, require_budget
from negset.probing.collection import open_collection
from negset.probing.examples import ProbeSet
from negset.probing.folds import cross_folds
from negset.probing.tuning import plan_tuning, pool_of, report_tuning, training_splits, tune
from negset.snapshot import open_snapshot
from schemas.config import BuildConfig, EncoderConfig, MineConfig, RecipeConfig, SourceConfig

WORDS = [f"word{number:02}" for number in range(40)]


def _tuned(world, current="random"):
    folds = cross_folds(
        world.collection, world.collection.of_splits(("train",)), 2, limit=999, seed=1, positives_apart=False
    )
    sets = [
        ProbeSet(CURRENT if name == current else name, one.positives, one.negatives, one.weights, 0)
        for name, one in world.sets.items()
    ]
    return tune(world.probe, world.collection, folds, sets, seed=1)


def test_with_complete_labels_tuning_chooses_the_hardest(clean_world):
    report = _tuned(clean_world)
    assert report == _tuned(clean_world)
    assert report.chosen == "hard"
    assert report.gain.low > 0
    assert report.before < report.control < report.worth.mean
    assert all(row.below_chosen.real for row in report.rows if row.name != "hard")


def test_with_unlabelled_positives_tuning_does_not_choose_the_hardest(twin_world):
    """Its own training queries carry one label each; even so the hardest are not the best on them."""
    means = {row.name: row.interval.mean for row in _tuned(twin_world).rows}
    assert means["aware"] > means["hard"] - 0.005


def test_the_current_recipe_is_kept_and_nothing_is_gained_where_it_is_chosen(clean_world):
    report = _tuned(clean_world, current="hard")
    assert report.chosen == CURRENT
    assert report.gain.mean == pytest.approx(0, abs=1e-3)


def test_folds_are_of_training_queries_alone(clean_world):
    folds = plan_tuning(clean_world.collection, ("train",), 1)
    splits = clean_world.collection.queries["split"]
    assert set(splits.gather(pool_of(folds))) == {"train"}


@pytest.mark.parametrize(
    ("asked", "found"), [((), ("part", "train")), (("dev",), ("dev",)), (("train", "test"), ("train",))]
)
def test_splits_to_tune_on(collection_of, asked, found):
    collection = collection_of([[0]] * 4, splits=["train", "test", "dev", "part"])
    config = BuildConfig(name="a", source=SourceConfig(format="beir"), mine=MineConfig(splits=asked))
    assert training_splits(config, collection) == found


def test_a_test_split_alone_is_no_split_to_tune_on(collection_of):
    config = BuildConfig(name="a", source=SourceConfig(format="beir"), mine=MineConfig(splits=("test",)))
    with pytest.raises(ConfigError, match="'test' is never read"):
        training_splits(config, collection_of([[0]] * 2, splits=["train", "test"]))


def test_a_set_without_negatives_is_idle_and_all_such_are_an_error(clean_world, set_of):
    nothing = set_of(clean_world.collection, "nothing", {})
    folds = plan_tuning(clean_world.collection, ("train",), 1)[:2]
    found = tune(clean_world.probe, clean_world.collection, folds, [clean_world.sets["hard"], nothing], seed=1)
    assert found.idle == ("nothing",)
    with pytest.raises(ConfigError, match="no recipe gives negatives"):
        tune(clean_world.probe, clean_world.collection, folds, [nothing], seed=1)


def test_the_chosen_one_is_the_best_finalist_not_the_luckiest_of_few_queries():
    values = np.full((3, 40), 0.5)
    values[1] += 0.1
    values[2] = [0.9] * 8 + [np.nan] * 32
    report = report_tuning(
        ["a", "b", "c"], values, [True, True, False], runs=[5, 5, 1], trained=[9, 9, 9], before=0.1, control=0.2, seed=1
    )
    assert report.chosen == "b"
    assert [row.name for row in report.rows] == ["b", "a", "c"]
    assert report.rows[2].queries == 8
    assert report.rows[2].below_chosen.difference.mean == pytest.approx(-0.3)
    assert report.gain is None


def _write(folder, collection, test_answers):
    """Write 60 documents and 40 queries of two words of their positive; `test_answers` are those of the test split."""
    draw = random.Random(4)
    documents = {f"d{place:02}": " ".join(draw.choices(WORDS, k=10)) for place in range(60)}
    queries = {f"q{place:02}": " ".join(documents[f"d{place:02}"].split()[:3]) for place in range(40)}
    queries |= {f"t{place}": f"{WORDS[place]} {WORDS[place + 9]}" for place in range(8)}
    qrels = [(f"q{place:02}", f"d{place:02}", 1) for place in range(40)]
    qrels += [(f"t{place}", doc, 1) for place, doc in enumerate(test_answers)]
    splits = {query: "test" if query[0] == "t" else "train" for query in queries}
    return collection(folder, documents, queries, qrels, splits)


def _choose(folder, store, select):
    config = BuildConfig(
        name="small",
        source=SourceConfig(format="parquet", path=str(folder)),
        encoder=EncoderConfig(backend="lsa", dimensions=12),
        mine=MineConfig(miners=("dense",), depth=20, splits=("train",)),
        recipe=RecipeConfig(name="perc-pos", negatives=3),
    )
    candidates = list_candidates(config, ["naive", "random"])
    ledgers = distinct_ledgers(candidates.tried)
    refs = {key: select(one.config, store).refs for key, one in ledgers.items()}
    return choose_recipe(config, candidates, refs, {}, store, seed=1)


def test_answers_of_the_test_split_do_not_matter(tmp_path, store, select, collection):
    """What is planted there would turn the choice over if it was read."""
    honest = _choose(_write(tmp_path / "a", collection, [f"d{40 + place}" for place in range(8)]), store, select)
    planted = _choose(_write(tmp_path / "b", collection, [f"d{59 - place}" for place in range(8)]), store, select)
    assert honest[1] == planted[1]
    assert honest[0].name == planted[0].name


def test_a_relabelled_pair_is_a_positive_of_the_probe(tmp_path, store, select, collection, monkeypatch):
    from negset.probing import selecting
    from negset.probing.selecting import read_ledger, select_set

    folder = _write(tmp_path / "a", collection, ["d59"] * 8)
    config = BuildConfig(
        name="small",
        source=SourceConfig(format="parquet", path=str(folder)),
        encoder=EncoderConfig(backend="lsa", dimensions=12),
        mine=MineConfig(miners=("dense",), depth=20, splits=("train",)),
        recipe=RecipeConfig(name="naive"),
    )
    refs = select(config, store).refs
    opened = open_collection(open_snapshot(store, refs.mining.snapshot))
    candidate = list_candidates(config, ["naive"]).tried[0]
    rows = opened.of_splits(("train",))
    mined = read_ledger(candidate, refs, store, rows)
    plain = select_set(candidate, mined, opened, store, rows)
    assert plain.positives.sizes()[rows].tolist() == [1] * len(rows)

    def relabelling(blocks, known, bound):
        for one in original(blocks, known, bound):
            first = one.candidates["position"] == 1
            yield type(one)(
                one.candidates.with_columns(relabelled=first.fill_null(value=False)), one.negatives, one.fates
            )

    original = selecting.select_blocks
    monkeypatch.setattr(selecting, "select_blocks", relabelling)
    found = select_set(candidate, mined, opened, store, rows)
    assert found.positives.sizes()[rows].tolist() == [2] * len(rows)
    assert pl.Series(found.positives.rows).n_unique() >= pl.Series(plain.positives.rows).n_unique()


def test_a_ledger_that_could_not_be_mined_leaves_its_recipes_out(tmp_path, store, select, collection):
    folder = _write(tmp_path / "a", collection, ["d59"] * 8)
    config = BuildConfig(
        name="small",
        source=SourceConfig(format="parquet", path=str(folder)),
        encoder=EncoderConfig(backend="lsa", dimensions=12),
        mine=MineConfig(miners=("dense",), depth=20, splits=("train",)),
        recipe=RecipeConfig(name="naive", negatives=3),
    )
    candidates = list_candidates(config, ["star"])
    keys = list(distinct_ledgers(candidates.tried))
    refs = {keys[0]: select(config, store).refs}
    _, report, left_out = choose_recipe(config, candidates, refs, {keys[1]: "no key"}, store, seed=1)
    assert report.chosen == CURRENT
    assert set(left_out.values()) == {"no key"}
    assert "star" in left_out


def test_a_budget_that_cannot_reach_is_refused_before_anything_is_mined():
    """Candidates whose teacher is not configured are not tried and do not count: `llm-judge` has no URL here."""
    config = BuildConfig(name="a", source=SourceConfig(format="beir"), recipe=RecipeConfig(name="naive"))
    candidates = list_candidates(config, ["shifted", "llm-judge"]).tried
    configured = [one.name for one in candidates if not one.name.startswith("llm-judge")]
    assert len(configured) < len(candidates)
    with pytest.raises(ConfigError, match=rf"{len(configured)} candidates need .* the budget is 3: raise --budget"):
        require_budget(candidates, 3)
    require_budget(candidates, 0)
    require_budget(candidates, 99)
