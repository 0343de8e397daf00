"""Ask an HTTP service that takes and gives JSON, again and again where that may help."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from negset.errors import ConfigError, TransientError

ATTEMPTS: Final = 6
FIRST_WAIT: Final = 0.5
"""Seconds before the second attempt; doubled for each further one."""
LONGEST_WAIT: Final = 60.0
TIMEOUT: Final = 60.0


def open_client(api_key: str) -> httpx.Client:
    """Give a client that shows `api_key`, if there is one, and follows no redirect with it."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.Client(headers=headers, timeout=TIMEOUT)


def find_key(variable: str, secrets: Mapping[str, str], section: str) -> str:
    """Give what `secrets` hold under `variable`, nothing for no name; raise ConfigError where it is not set."""
    key = secrets.get(variable, "") if variable else ""
    if variable and not key:
        message = f"{section}.api_key_env names {variable!r}, which is not set in the environment"
        raise ConfigError(message)
    return key


def post(
    client: httpx.Client, url: str, body: Mapping[str, object], wait: Callable[[float], None], section: str
) -> httpx.Response:
    """Post `body`; on 429, 5xx, broken connections and answers that are no JSON wait and try again, ATTEMPTS times.

    Raises TransientError where all of them failed, ConfigError on any other refusal; messages name the options of
    `section`, and never the key.
    """
    failure = ""
    for attempt in range(ATTEMPTS):
        asked = 0.0
        try:
            response = client.post(url, json=body)
        except httpx.TransportError as error:
            failure = f"{type(error).__name__}: {error}"
        else:
            if response.is_success and _is_json(response):
                return response
            failure = _describe(response, client)
            if not response.is_success and response.status_code != 429 and response.status_code < 500:
                message = (
                    f"{url} refused model {body.get('model')!r} with {failure}. "
                    f"Check {section}.url, model and api_key_env"
                )
                raise ConfigError(message)
            asked = seconds_to_wait(response.headers.get("retry-after", ""))
        if attempt + 1 < ATTEMPTS:
            wait(min(max(asked, FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)), LONGEST_WAIT))
    message = f"{url} failed {ATTEMPTS} times, last with {failure}. What it gave so far is kept; run again later"
    raise TransientError(message)


def seconds_to_wait(header: str) -> float:
    """Read `Retry-After`: seconds, or a date; 0 for anything else."""
    if header.replace(".", "", 1).isdigit():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


def _is_json(response: httpx.Response) -> bool:
    try:
        response.json()
    except ValueError:
        return False
    return True


def _describe(response: httpx.Response, client: httpx.Client) -> str:
    """Quote the beginning of `response`, without the key, which some services repeat."""
    key = client.headers.get("authorization", "").removeprefix("Bearer ")
    text = response.text.replace(key, "***") if key else response.text
    return f"status {response.status_code}: {text[:200]}"
