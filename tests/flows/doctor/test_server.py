"""What the doctor says of a Prefect server."""

import pytest

from flows.doctor import server as checked
from flows.doctor.server import Server, check_server, examine_server


@pytest.fixture(autouse=True)
def other_address(monkeypatch):
    """Let another address of the loopback network stand for that of this machine: only 0.0.0.0 covers it too."""
    monkeypatch.setattr(checked, "own_addresses", lambda: ["127.0.0.2"])


def found(url, auth=None):
    return {one.name: one for one in examine_server(Server(url, {}, auth))}


def test_an_open_server_on_loopback_alone_is_well(served):
    stub, serve = served
    with serve(stub()) as url:
        said = found(url)
    assert {one.verdict for one in said.values()} == {"ok"}
    assert said["server auth"].found == "open, but at 127.0.0.1 alone: not at 127.0.0.2"
    assert said["schedules"].found == "none of negset"


def test_an_open_server_at_every_address_is_a_failure_though_we_ask_at_loopback(served):
    stub, serve = served
    with serve(stub(), "0.0.0.0") as url:
        said = found(url)
    assert said["server auth"].verdict == "fail"
    assert "without credentials at 127.0.0.2 too" in said["server auth"].found
    assert "PREFECT_SERVER_API_AUTH_STRING" in said["server auth"].mend


def test_an_open_server_that_is_reached_from_elsewhere_is_a_failure(served, monkeypatch):
    stub, serve = served
    monkeypatch.setattr(checked, "_is_loopback", lambda host: False)
    with serve(stub()) as url:
        assert found(url)["server auth"].verdict == "fail"
    with serve(stub(auth="user:word")) as url:
        assert found(url, ("user", "word"))["server auth"].verdict == "ok"


def test_a_server_with_a_password_is_asked_without_it_too(served):
    stub, serve = served
    with serve(stub(auth="user:word"), "0.0.0.0") as url:
        said = found(url, ("user", "word"))
        assert said["server auth"].found == "127.0.0.1 refuses who has no credentials"
        refused = found(url, ("user", "wrong"))
    assert list(refused) == ["prefect server"]
    assert refused["prefect server"].verdict == "fail"
    assert "PREFECT_API_AUTH_STRING" in refused["prefect server"].mend
    assert "word" not in str(refused) + str(said)


def test_credentials_come_from_prefects_own_settings(served, monkeypatch):
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    stub, serve = served
    with serve(stub(auth="user:word")) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: "user:word"}):
            said = list(check_server())
    assert {one.verdict for one in said} == {"ok"}
    assert "word" not in repr(said) + repr(Server(url, {}, ("user", "word")))


def test_no_answer_is_a_failure_and_nothing_else_is_said():
    said = found("http://127.0.0.1:9/api")
    assert list(said) == ["prefect server"]
    assert (said["prefect server"].verdict, "ConnectError" in said["prefect server"].found) == ("fail", True)


def test_without_a_server_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (only,) = check_server()
    assert (only.verdict, "none was looked at" in only.found) == ("ok", True)


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "ok"), (30, "warn"), (-30, "warn"), (3600, "fail")])
def test_its_clock_is_compared(served, ahead, verdict):
    stub, serve = served
    with serve(stub(ahead=ahead)) as url:
        assert found(url)["clock of the server"].verdict == verdict


def test_another_version_is_a_warning(served):
    stub, serve = served
    with serve(stub(prefect="3.1.0")) as url:
        assert found(url)["prefect server"].verdict == "warn"


def deployment(**values):
    given = {"id": "1", "name": "news", "tags": ["negset:news"], "paused": False, "work_pool_name": "negset"}
    return {**given, "schedules": [{"active": True}], **values}


def test_a_scheduler_that_makes_no_run_is_a_failure(served):
    """What SQLAlchemy 2.1 does to it: flows run by hand, and nobody sees that none is scheduled."""
    stub, serve = served
    with serve(stub(deployments=[deployment()], workers=[{"name": "w", "status": "ONLINE"}])) as url:
        said = found(url)
    assert (said["schedules"].verdict, said["schedules"].found) == ("fail", "no run is scheduled of news")
    assert said["workers of negset"].verdict == "ok"


def test_runs_without_a_worker_are_a_warning(served):
    stub, serve = served
    run = {"deployment_id": "1", "estimated_start_time_delta": 4000.0}
    offline = [{"name": "w", "status": "OFFLINE"}]
    with serve(stub(deployments=[deployment()], runs=[run], workers=offline)) as url:
        said = found(url)
    assert said["schedules"].verdict == "ok"
    assert (said["workers of negset"].verdict, said["late runs"].verdict) == ("warn", "warn")
    assert said["workers of negset"].mend == "prefect worker start --pool negset"


@pytest.mark.parametrize("values", [{"paused": True}, {"schedules": [{"active": False}]}, {"tags": ["other"]}])
def test_what_is_off_or_not_ours_is_not_missed(served, values):
    stub, serve = served
    with serve(stub(deployments=[deployment(**values)])) as url:
        assert found(url)["schedules"].verdict == "ok"
