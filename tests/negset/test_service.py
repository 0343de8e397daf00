from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from negset.errors import ConfigError, TransientError
from negset.service import ATTEMPTS, LONGEST_WAIT, find_key, post, seconds_to_wait


def client_that_answers(*answers, key="canary"):
    """Give a client whose requests get `answers` in turn, the last again and again."""
    left = list(answers)

    def answer(_request):
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return httpx.Client(transport=httpx.MockTransport(answer), headers={"Authorization": f"Bearer {key}"})


def asked(*answers):
    waits = []
    return post(client_that_answers(*answers), "http://x/y", {"model": "m"}, waits.append, "teach.judge"), waits


def test_it_waits_as_long_as_it_is_told_but_not_for_ever():
    response, waits = asked(
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(503, headers={"retry-after": "100000"}),
        httpx.Response(200, json=1),
    )
    assert response.json() == 1
    assert waits == [7, LONGEST_WAIT]


def test_a_date_says_when_to_come_back():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30))
    assert 25 < seconds_to_wait(soon) <= 30
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_to_wait("1.5") == 1.5
    assert seconds_to_wait("soon") == seconds_to_wait("") == 0


def test_what_is_no_json_and_what_breaks_off_is_asked_again():
    response, waits = asked(
        httpx.Response(200, text="<html>busy"), httpx.ConnectError("gone"), httpx.Response(200, json=[])
    )
    assert response.json() == []
    assert len(waits) == 2


@pytest.mark.parametrize("status", [301, 400, 401])
def test_another_refusal_is_final_and_names_the_options(status):
    with pytest.raises(ConfigError, match=rf"refused model 'm' with status {status}.*Check teach\.judge\.url"):
        asked(httpx.Response(status, text="no"))


def test_a_service_that_repeats_the_key_does_not_get_it_into_a_message():
    for status, error in ((401, ConfigError), (500, TransientError)):
        with pytest.raises(error) as found:
            asked(httpx.Response(status, text="bad key canary given"))
        assert "canary" not in str(found.value)
        assert "bad key *** given" in str(found.value)


def test_it_gives_up_after_its_attempts():
    waits = []
    with pytest.raises(TransientError, match=f"failed {ATTEMPTS} times, last with status 500: on fire"):
        post(client_that_answers(httpx.Response(500, text="on fire")), "http://x", {}, waits.append, "encoder")
    assert len(waits) == ATTEMPTS - 1


def test_a_key_that_is_named_must_be_there():
    assert find_key("", {}, "encoder") == ""
    assert find_key("KEY", {"KEY": "k"}, "encoder") == "k"
    with pytest.raises(ConfigError, match=r"teach\.judge\.api_key_env names 'KEY', which is not set"):
        find_key("KEY", {}, "teach.judge")
