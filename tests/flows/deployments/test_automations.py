"""What is planned for the server to do about runs, checked by the server's own matching of events."""

from uuid import uuid4

import pytest
from prefect.events.schemas.automations import Posture
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent

from flows.deployed import dataset_tag
from flows.deployments.automations import WATCHED, plan_automations
from schemas.schedule import ScheduleConfig
from tasks.freshness import FRESH, dataset_resource

TAG = {"prefect.resource.id": f"prefect.tag.{dataset_tag('news')}", "prefect.resource.role": "tag"}
DEPLOYMENT = {"prefect.resource.id": f"prefect.deployment.{uuid4()}", "prefect.resource.role": "deployment"}


def planned(block=None, **schedule):
    found = plan_automations("news", ScheduleConfig.model_validate(schedule), block)
    return {one.name.removeprefix("negset news: "): one for one in found}


def as_the_server_reads_it(one):
    return Automation.model_validate({"id": uuid4(), **one.model_dump(mode="json")})


def covers(one, event, related, count="1", resource="prefect.flow-run.1"):
    labels = {"prefect.resource.id": resource, "prefect.run-count": count}
    at = "2026-01-01T00:00:00Z"
    sent = ReceivedEvent(occurred=at, received=at, event=event, resource=labels, related=related, id=uuid4())
    return as_the_server_reads_it(one).trigger.covers(sent)


def test_only_what_is_asked_for_is_planned():
    assert set(planned()) == {
        "runs without a heartbeat",
        "runs that do not begin",
        "failed runs",
        "crashed runs start again",
    }
    assert "crashed runs start again" not in planned(crash_retries=0)
    assert {"runs that take too long", "not up to date"} <= set(planned(timeout="12h", fresh_within="30h"))


def test_every_action_survives_the_way_to_the_server():
    for one in planned(uuid4(), timeout="12h", fresh_within="30h").values():
        sent, read = one.actions, as_the_server_reads_it(one).actions
        assert [action.type for action in sent] == [action.type for action in read]


def test_a_silent_run_crashes():
    zombies = planned(silence="4m")["runs without a heartbeat"]
    assert zombies.trigger.posture is Posture.Proactive
    assert zombies.trigger.within.total_seconds() == 240
    assert zombies.trigger.for_each == {"prefect.resource.id"}
    assert zombies.actions[0].state.value == "CRASHED"
    assert covers(zombies, "prefect.flow-run.heartbeat", [TAG, DEPLOYMENT])
    other = {**TAG, "prefect.resource.id": "prefect.tag.negset:newspapers"}
    assert not covers(zombies, "prefect.flow-run.heartbeat", [other, DEPLOYMENT])
    assert not covers(zombies, "prefect.flow-run.heartbeat", [])


def test_a_run_that_was_taken_and_does_not_begin_is_scheduled_again():
    """Its worker was killed in between: there is no heartbeat to miss, and nobody else would touch it again."""
    unbegun = planned(start_within="5m")["runs that do not begin"]
    assert (unbegun.trigger.posture, unbegun.trigger.within.total_seconds()) == (Posture.Proactive, 300)
    assert {"prefect.flow-run.Pending", "prefect.flow-run.Submitting"} <= unbegun.trigger.after
    assert "prefect.flow-run.Scheduled" not in unbegun.trigger.after  # it may wait for its time, or for a worker
    assert covers(unbegun, "prefect.flow-run.Pending", [TAG, DEPLOYMENT], "0")
    assert (unbegun.actions[0].state.value, unbegun.actions[0].name) == ("SCHEDULED", "AwaitingRetry")


@pytest.mark.parametrize(("count", "again"), [("0", False), ("1", True), ("2", True), ("3", False)])
def test_a_crashed_run_starts_again_so_many_times(count, again):
    """Its count is 1 when it crashes for the first time, and 0 where it never ran: that would go on for ever."""
    restarts = planned(crash_retries=2)["crashed runs start again"]
    assert covers(restarts, "prefect.flow-run.Crashed", [TAG, DEPLOYMENT], count) == again
    assert (restarts.actions[0].state.value, restarts.actions[0].name) == ("SCHEDULED", "AwaitingRetry")


def test_sub_flows_are_neither_restarted_nor_reported_nor_timed():
    found = planned(timeout="12h")
    for name, event in (
        ("crashed runs start again", "Crashed"),
        ("runs that do not begin", "Pending"),
        ("failed runs", "Failed"),
        ("runs that take too long", "Running"),
    ):
        assert covers(found[name], f"prefect.flow-run.{event}", [TAG, DEPLOYMENT])
        assert not covers(found[name], f"prefect.flow-run.{event}", [TAG])


def test_a_failure_is_told_to_the_block_that_is_named():
    block = uuid4()
    failures = planned(block, notify="slack-webhook/ops", timeout="12h")
    assert [one.type for one in failures["failed runs"].actions] == ["send-notification"]
    assert failures["failed runs"].actions[0].block_document_id == block
    assert [one.type for one in failures["runs that take too long"].actions] == ["cancel-flow-run", "send-notification"]
    assert [one.type for one in planned()["failed runs"].actions] == ["do-nothing"]
    for ended in ("Failed", "Crashed", "TimedOut"):
        assert covers(failures["failed runs"], f"prefect.flow-run.{ended}", [TAG, DEPLOYMENT])
        assert f"prefect.flow-run.{ended}" in failures["failed runs"].trigger.expect
    assert "prefect.flow-run.Cancelled" not in failures["failed runs"].trigger.expect


def test_a_timeout_counts_from_running_and_ends_with_the_run():
    timeout = planned(timeout="12h")["runs that take too long"].trigger
    assert timeout.after == {"prefect.flow-run.Running"}
    # Were a heartbeat expected too, no run would ever take too long.
    assert "prefect.flow-run.heartbeat" not in timeout.expect
    assert {"prefect.flow-run.Completed", "prefect.flow-run.Failed"} <= timeout.expect


def test_freshness_counts_from_the_last_time_that_all_was_well_or_from_the_deployment():
    fresh = planned(fresh_within="30h")["not up to date"]
    assert fresh.trigger.within.total_seconds() == 30 * 3600
    assert (fresh.trigger.after, fresh.trigger.expect) == ({FRESH, WATCHED}, {FRESH})
    assert covers(fresh, FRESH, [], resource=dataset_resource("news"))
    assert not covers(fresh, FRESH, [], resource=dataset_resource("newspapers"))
