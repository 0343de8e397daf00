"""What holds for every plan: its promises, whatever the number of queries, their order and the threads."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from negset.batching import bisection, centroids, neighbours
from negset.batching.making import make_plan
from negset.batching.planner import PlanSettings, find_plan, plan_params, plans
from negset.errors import ConfigError
from negset.tables import read_table

NAMES = sorted(plans())
PAPER = ["cyclical", "graded", "ngame", "openshape", "power-law-replay", "protoclip", "sample4geo", "tas-balanced"]
SPECIAL = {
    "sample4geo": {"geo_epochs": 1},
    "protoclip": {"episode": 50},
    "ngame": {"size": 4, "doublings": "1"},
    "tas-balanced": {"clusters": 5},
    "task-pure": {"classes": "task"},
}


def settings(found, size=16, epochs=2, seed=3, **options):
    params = plan_params(found, {**SPECIAL.get(found.name, {}), **options})
    return PlanSettings(seed, size, found.epochs(epochs, params), passes=epochs), params


def made(inputs, name, folder: Path, **changes):
    found = find_plan(name)
    given, params = settings(found, **changes)
    counts, visits = make_plan(inputs, found, params, given, folder)
    tables = {
        table: pl.concat([read_table(path) for path in sorted((folder / table).iterdir())])
        for table in ("batch_plan", "batch_masks")
    }
    return counts, visits, tables


def test_the_plans_of_the_papers_are_there():
    assert set(PAPER) | {"coarse-groups", "shuffled", "task-pure"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_bears_the_name_of_its_plan_and_has_a_test_file_of_its_own(name):
    found = find_plan(name)
    file = name.replace("-", "_")
    assert found.open.__module__ == f"negset.batching.plans.{file}"
    assert (Path(__file__).parent / "plans" / f"test_{file}.py").is_file()
    assert len(found.summary) > 20
    assert all(field.description for field in found.params.model_fields.values())
    found.params()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("queries", "size"), [(97, 16), (97, 200), (1, 16), (2, 2), (0, 16)])
def test_no_query_comes_twice_and_where_promised_each_comes_once(rich, tmp_path, name, queries, size):
    counts, _, tables = made(rich(queries), name, tmp_path, size=size)
    found = find_plan(name)
    _, params = settings(found)
    plan, masks = tables["batch_plan"], tables["batch_masks"]
    for row, part in zip(counts, plan.partition_by("epoch"), strict=False):
        assert part.get_column("query_id").is_duplicated().sum() == 0
        assert (part.height == queries) or found.coverage(params) == "some"
        assert row.visits == part.height
        sizes = part.group_by("batch").len().get_column("len")
        assert sizes.max() <= size * 2 if name == "graded" else sizes.max() <= size
        assert part.get_column("batch").unique().sort().to_list() == list(range(row.batches))
    assert plan.get_column("positive_id").null_count() == 0
    own = masks.join(plan, on=["epoch", "batch", "slot"]).filter(pl.col("doc_id") == pl.col("positive_id"))
    assert own.height == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(rich, permuted, tmp_path, name):
    inputs = rich(60)
    other = permuted(inputs, np.random.default_rng(7).permutation(60))
    _, _, there = made(inputs, name, tmp_path / "a")
    _, _, back = made(other, name, tmp_path / "b")
    for table in there:
        assert there[table].equals(back[table])


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_or_epoch_gives_another_plan_and_the_same_one_the_same_bytes(rich, tmp_path, name):
    inputs = rich(60)
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        made(inputs, name, tmp_path / folder, seed=seed)
    first, again, other = (
        [(tmp_path / folder / "batch_plan" / f"epoch-0000{epoch}.parquet").read_bytes() for epoch in (0, 1)]
        for folder in "abc"
    )
    assert first == again
    assert first[0] != other[0]
    assert first[0] != first[1]


@pytest.mark.parametrize("name", ["ngame", "tas-balanced", "openshape"])
def test_the_number_of_threads_does_not_matter(rich, tmp_path, monkeypatch, name):
    monkeypatch.setattr(bisection, "_SMALL", 16)
    monkeypatch.setattr(neighbours, "_EXACT", 10)
    monkeypatch.setattr(neighbours, "_PART", 20)
    tables = []
    for threads in (1, 4):
        for module in (bisection, centroids, neighbours):
            monkeypatch.setattr(module, "usable_threads", lambda count=threads: count)
        tables.append(made(rich(150), name, tmp_path / str(threads))[2])
    assert tables[0]["batch_plan"].equals(tables[1]["batch_plan"])


def test_what_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"no batch plan 'ngam' .did you mean 'ngame'"):
        find_plan("ngam")
    with pytest.raises(ConfigError, match=r"options of the plan ngame: sizes: .*Its options: doublings, size"):
        plan_params(find_plan("ngame"), {"sizes": 3})


def test_a_plan_says_what_it_lacks(plan_inputs):
    found = find_plan("ngame")
    with pytest.raises(ConfigError, match="needs vectors"):
        found.open(plan_inputs(40), PlanSettings(1, 16, 1), plan_params(found, {}))
