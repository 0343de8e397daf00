"""Every part is done, whoever dies or dawdles; what cannot be done says so. The engine here is a script."""

from concurrent.futures import Future
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from flows.runners import spreading
from flows.runners.engine import Engine
from flows.runners.spreading import ATTEMPTS, is_late, spread
from negset.errors import ContractError, EnvironmentFault
from schemas.runner import NeedsConfig


class WorkerDiedError(Exception):
    """What the engine of these tests raises for a lost worker."""


class Script:
    """Give each call of a part what is next in its script: a value, an error, or `wait`, which never ends."""

    def __init__(self, **script):
        self.script = {name: list(ends) for name, ends in script.items()}
        self.begun: list[tuple[str, int]] = []
        self.dropped: list[str] = []
        self.asked: list[NeedsConfig] = []

    def submit(self, chosen, call):
        self.begun.append((call["part"], call["threads"]))
        future, end = Future(), self.script[call["part"]].pop(0)
        future.part = call["part"]
        if isinstance(end, Exception):
            future.set_exception(end)
        elif end != "wait":
            future.set_result(end)
        return future


class ScriptedCrew:
    """A crew whose engine follows a script."""

    def __init__(self, script: Script, workers: int = 3, *, ends_with_a_worker: bool = False):
        self.closed = 0
        self.script = script
        self.engine = Engine(
            runner=script,
            workers=workers,
            asking=lambda needs: nullcontext(script.asked.append(needs)),
            threads=lambda needs: needs.cpus,
            lost=(WorkerDiedError,),
            ends_with_a_worker=ends_with_a_worker,
            copies=not ends_with_a_worker,
            drop=lambda future: script.dropped.append(future.part),
        )

    def close(self):
        self.closed += 1


@pytest.fixture(autouse=True)
def crashed(monkeypatch) -> list:
    """Give the futures whose task runs were noted as crashed."""
    noted: list = []
    monkeypatch.setattr(spreading, "_note_crash", lambda future: noted.append(future.part))
    return noted


def run(crew: ScriptedCrew, parts: str, **options):
    chosen = SimpleNamespace(name="part")
    return spread(crew, chosen, NeedsConfig(cpus=2), [{"part": name} for name in parts], **options)


def test_results_come_in_the_order_of_the_calls_with_the_threads_of_the_step():
    script = Script(a=[1], b=[2], c=[3])
    told = []
    assert run(ScriptedCrew(script), "abc", progress=lambda *what: told.append(what)) == [1, 2, 3]
    assert script.begun == [("a", 2), ("b", 2), ("c", 2)]
    assert script.asked == [NeedsConfig(cpus=2)]
    assert told == [("part", 1, 3), ("part", 2, 3), ("part", 3, 3)]
    assert script.dropped == []


def test_a_part_whose_worker_died_is_begun_again_and_no_other(crashed):
    script = Script(a=[1], b=[WorkerDiedError(), 2], c=[3])
    crew = ScriptedCrew(script)
    assert run(crew, "abc") == [1, 2, 3]
    assert [part for part, _ in script.begun] == ["a", "b", "c", "b"]
    assert crashed == ["b"]
    assert crew.closed == 0


def test_a_pool_that_ends_with_a_worker_is_replaced():
    crew = ScriptedCrew(Script(a=[1], b=[WorkerDiedError(), WorkerDiedError(), 2]), ends_with_a_worker=True)
    assert run(crew, "ab") == [1, 2]
    assert crew.closed == 2


def test_a_part_that_kills_its_workers_is_given_up():
    script = Script(a=[1], b=[WorkerDiedError()] * 9)
    with pytest.raises(EnvironmentFault, match=f"part: workers died {ATTEMPTS} times over the same part"):
        run(ScriptedCrew(script), "ab")
    assert [part for part, _ in script.begun] == ["a", *["b"] * ATTEMPTS]


def test_what_a_part_raises_is_raised_and_the_rest_is_dropped():
    script = Script(a=["wait"], b=[ContractError("row 7")], c=["wait"])
    with pytest.raises(ContractError, match="row 7"):
        run(ScriptedCrew(script), "abc")
    assert script.dropped == ["a", "c"]


def test_a_part_that_dawdles_is_given_to_a_second_worker_and_the_first_is_dropped():
    script = Script(a=[1], b=["wait", 2], c=[3])
    assert run(ScriptedCrew(script), "abc", patience=0.01) == [1, 2, 3]
    assert [part for part, _ in script.begun] == ["a", "b", "c", "b"]
    assert script.dropped == ["b"]


def test_of_two_workers_on_a_part_one_may_die(crashed):
    script = Script(a=[1], b=["wait", WorkerDiedError(), 2], c=[3])
    crew = ScriptedCrew(script)
    take, ends = spreading._Round.take, []

    def and_then_end_the_first(self, future):
        take(self, future)
        ends.append(future.part)
        if ends.count("b") == 1 and self.running:
            next(iter(self.running)).set_result("first")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spreading._Round, "take", and_then_end_the_first)
        assert run(crew, "abc", patience=0.01) == [1, "first", 3]
    assert crashed == ["b"]


LATE = {"left": 2, "back": 10, "workers": 4, "waited": 61.0, "worked": 25.0, "patience": 60.0}


def test_parts_are_late_when_idle_workers_have_waited_too_long():
    assert is_late(**LATE)


@pytest.mark.parametrize(
    "change",
    [
        {"waited": 59.0},  # patience
        {"worked": 60.0},  # a part usually takes 24 seconds: three times that is more than 61
        {"left": 4},  # nobody is idle: some have only just begun
        {"back": 0, "worked": 0.0},  # nobody knows how long a part takes
    ],
)
def test_parts_are_not_late(change):
    assert not is_late(**{**LATE, **change})
