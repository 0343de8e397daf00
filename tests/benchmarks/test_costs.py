"""The cost model: its figures are those it is made from, and it says where the design stops."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.costs import Costs, Load, Machine, estimate, told

HUNDRED_MILLION, TEN_BILLION = Load(1e8, 1e6), Load(1e10, 1e7)
MACHINE, COSTS = Machine(), Costs()


def test_the_measured_runs_come_out_again():
    measured = estimate(Load(200_000, 20_000, 384), MACHINE, COSTS, 1)
    assert measured.shared_core_hours["mine"] * 3600 == pytest.approx(8.7, rel=0.01)
    assert measured.shared_core_hours["select"] * 3600 == pytest.approx(5.0)
    ten_million = estimate(Load(1e7, 1_000, 128), MACHINE, COSTS, 1)
    assert (ten_million.disk_tb["vectors"] + ten_million.disk_tb["cells"]) * 1e6 == pytest.approx(6_086, rel=0.03)


def test_hours_of_a_core_by_hand():
    found = estimate(HUNDRED_MILLION, MACHINE, COSTS, 24)
    assert found.shared_core_hours["embed"] == pytest.approx((1e8 + 1e6) / 22 / 3600)
    assert found.shared_core_hours["mine"] == pytest.approx(1e14 * 384 * 0.00566e-9 / 3600)
    assert found.disk_tb["vectors"] == pytest.approx(1e8 * (384 * 4 + 75) / 1e12)


def test_machines_have_the_shared_steps_done_in_time_and_one_less_does_not():
    found = estimate(HUNDRED_MILLION, MACHINE, COSTS, 4)
    shared = sum(found.shared_core_hours.values())
    assert shared / (found.machines * MACHINE.cores) <= 4
    assert shared / ((found.machines - 1) * MACHINE.cores) > 4
    alone = sum(found.alone_hours.values())
    assert found.hours == pytest.approx(shared / (found.machines * MACHINE.cores) + alone)


def test_more_machines_do_not_help_what_one_process_does():
    slow, fast = (estimate(HUNDRED_MILLION, MACHINE, COSTS, hours) for hours in (48, 4))
    assert fast.machines > slow.machines
    assert fast.alone_hours == slow.alone_hours
    assert fast.compute_price > slow.compute_price  # all wait for the one


def test_money_is_hours_and_terabytes_times_prices():
    cheap = estimate(HUNDRED_MILLION, MACHINE, COSTS, 24)
    dear = estimate(HUNDRED_MILLION, replace(MACHINE, price_per_hour=6.0, price_per_tb_month=46.0), COSTS, 24)
    assert cheap.compute_price == pytest.approx(cheap.hours * cheap.machines * 3.0)
    assert dear.compute_price == pytest.approx(2 * cheap.compute_price)
    assert dear.storage_price_per_month == pytest.approx(2 * cheap.storage_price_per_month)


def test_it_says_where_the_design_stops():
    small = estimate(Load(1e6, 1e4), MACHINE, COSTS, 24)
    assert small.stops == []
    far = " / ".join(estimate(TEN_BILLION, MACHINE, COSTS, 24).stops)
    assert "rows are numbered in 32 bits" in far
    assert "reading the source passes it through one process" in far
    assert "a task knows all documents by id" in far
    assert not [one for one in estimate(HUNDRED_MILLION, MACHINE, COSTS, 24).stops if "32 bits" in one]


def test_the_command_prints_the_report_and_one_object():
    command = [sys.executable, "-m", "benchmarks.costs", "--documents", "1e8", "--hours", "12"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = estimate(HUNDRED_MILLION, MACHINE, COSTS, 12)
    assert lines[:-1] == told(found)
    assert json.loads(lines[-1])["machines"] == found.machines
