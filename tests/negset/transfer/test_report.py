"""What domains do to each other is found where it was planted, and nothing where nothing was."""

import json

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.transfer.report import report_transfer

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def planted(make_member):
    """Domains a and b agree, c conflicts with both."""
    member = make_member("set", {"a": 0, "b": 0, "c": 1})
    return report_transfer([member], field="domain", target="test", seeds=SEEDS)


def cells_of(report):
    return {(cell.source, cell.target): cell for cell in report.matrix.cells}


def test_a_planted_conflict_has_negative_transfer_and_an_ally_has_not(planted):
    cells = cells_of(planted)
    for target in ("a", "b"):
        assert cells["c", target].sign == "-"
        assert cells["c", target].change.real
    assert cells["c", "a"].change.difference.mean < -0.05
    assert cells["a", "b"].sign != "-"
    assert planted.matrix.effects["c"] < planted.matrix.effects["b"]


def test_gradients_and_distances_say_so_before_training(planted):
    signs = {(one.source, one.target): one for one in planted.signs}
    assert signs["a", "b"].cosine > signs["a", "c"].cosine + 0.3
    assert signs["a", "b"].conflict < 0.1 < signs["a", "c"].conflict
    assert signs["c", "a"].distance > 1.2 > 0.8 > signs["a", "a"].distance
    assert planted.nearest("a")[0] == "b"


def test_a_copy_of_a_set_brings_nothing(make_member):
    """All trainings are as long: trained on twice as many steps, a copy would seem to help."""
    members = [make_member("one", {"a": 0}), make_member("two", {"a": 0})]
    assert np.array_equal(members[0].queries_QD, members[1].queries_QD)
    report = report_transfer(members, field="", target="test", seeds=SEEDS)
    for cell in report.matrix.cells:
        assert abs(cell.change.difference.mean) < 0.01
        assert cell.sign == "0"


def test_sets_on_two_corpora_are_measured_each_on_its_own(make_member):
    """Alone, a set measures the same whether another one stands beside it or not."""
    one, other = make_member("one", {"a": 0}), make_member("two", {"c": 1}, seed=5)
    both = report_transfer([one, other], field="domain", target="test", seeds=SEEDS)
    assert [group.name for group in both.groups] == ["one:a", "two:c"]
    assert cells_of(both)["two:c", "one:a"].sign == "-"
    swapped = report_transfer([other, one], field="domain", target="test", seeds=SEEDS)
    assert swapped.matrix.alone == pytest.approx(both.matrix.alone)
    assert swapped.numbers()["signs"] == both.numbers()["signs"]


def test_what_is_written_is_plain_and_whole(planted):
    written = json.loads(json.dumps(planted.numbers(), allow_nan=False))
    assert {cell["sign"] for cell in written["matrix"]["transfer"]} >= {"-"}
    assert [group["trained"] for group in written["groups"]] == [128, 128, 128]
    assert sum(group["share"] for group in written["groups"]) == pytest.approx(1.0)
    assert written["steps"] == 200


def test_one_group_cannot_be_compared(make_member):
    with pytest.raises(ConfigError, match="1 groups to compare"):
        report_transfer([make_member("set", {"a": 0})], field="", target="test", seeds=SEEDS)
    with pytest.raises(ConfigError, match="split 'dev' has no query"):
        report_transfer([make_member("set", {"a": 0})], field="", target="dev", seeds=SEEDS)
    with pytest.raises(ConfigError, match="--by names the column 'dom'"):
        report_transfer([make_member("set", {"a": 0})], field="dom", target="test", seeds=SEEDS)
