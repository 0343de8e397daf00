from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from negset.batching.inputs import OlderVersion
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.plans.power_law_replay import age_shares
from negset.batching.versions import listed_versions


def opened(inputs, **options):
    found = find_plan("power-law-replay")
    return found.open(inputs, PlanSettings(1, 32, 2), plan_params(found, options))


@pytest.fixture
def inputs(plan_inputs, groups_of):
    """Three versions that each gave every query a negative of its own: 1000, 1001, 1002 by age."""
    versions = [OlderVersion(f"v{age}", age, groups_of([[999 + age]] * 1000)) for age in (1, 2, 3)]
    return plan_inputs(1000, negatives=[[1000]] * 1000, documents=1003, versions=lambda: versions)


def test_shares_of_three_ages():
    three = [OlderVersion(str(age), age, 0) for age in (1, 2, 3)]
    assert np.round(age_shares(three, 1.0), 3).tolist() == [0.545, 0.273, 0.182]
    assert age_shares(three, 0.0).tolist() == [1 / 3] * 3


def test_a_version_that_was_deleted_has_no_share(inputs):
    versions = [replace(one, negatives=None if one.age == 2 else one.negatives) for one in inputs.versions()]
    assert np.round(age_shares(versions, 1.0), 3).tolist() == [0.75, 0.0, 0.25]
    visits = opened(replace(inputs, versions=lambda: versions))(0)
    assert np.bincount(visits.group_V, minlength=3).tolist() == [750, 0, 250]


def test_every_query_is_visited_once_with_the_negatives_of_its_version(inputs):
    visits = opened(inputs)(0)
    assert sorted(visits.query_V.tolist()) == list(range(1000))
    assert np.bincount(visits.group_V).tolist() == [545, 273, 182]
    assert (visits.negatives.rows == 1000 + visits.group_V).all()
    assert set(visits.version_V.tolist()) == {-1, 1, 2}
    assert visits.notes["visits_expected_at_age_2"] == 273
    assert opened(inputs)(1).group_V.tolist() != visits.group_V.tolist()


def test_an_old_version_with_few_queries_leaves_the_rest_to_the_newest(inputs, groups_of):
    few = OlderVersion("v2", 2, groups_of([[1001]] * 10 + [[]] * 990))
    visits = opened(replace(inputs, versions=lambda: [inputs.versions()[0], few]))(0)
    assert np.bincount(visits.group_V).tolist() == [990, 10]
    assert visits.notes["visits_that_an_older_version_could_not_fill"] == 333 - 10


def test_what_is_older_than_asked_for_is_left_alone(inputs):
    assert np.bincount(opened(inputs, oldest=1)(0).group_V).tolist() == [1000]


def test_versions_are_listed_by_age_and_deleted_ones_are_said_to_be(tmp_path):
    names = [f"{number}" * 16 for number in "abc"]
    for name in (names[0], names[2]):
        (tmp_path / "versions" / name).mkdir(parents=True)
        (tmp_path / "versions" / name / "manifest.json").write_text("{}")
    entry = '{{"n": {n}, "id": "{id}", "parent": null, "published_at": "t", "by": "b", "sha256": "{id}"}}\n'
    history = [*names, names[0], names[2]]
    (tmp_path / "history.jsonl").write_text("".join(entry.format(n=n, id=one) for n, one in enumerate(history, 1)))
    found = listed_versions(tmp_path / "versions" / names[2])
    assert [(one.version, one.age, one.folder is not None) for one in found] == [
        (names[2], 1, True),
        (names[0], 2, True),
        (names[1], 3, False),
    ]
    assert all(one.age < other.age for one, other in pairwise(found))
    assert len(listed_versions(tmp_path / "elsewhere")) == 1
