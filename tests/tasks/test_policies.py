"""Which failures of a room are tried again, and after how long."""

import pytest
from prefect.states import Failed

from negset.errors import AccessError, ArtifactError, ConfigError, EnvironmentFault, TransientError, ValidationFailed
from tasks.mine import mine
from tasks.policies import is_transient


@pytest.mark.parametrize("error", [TransientError("busy"), ConnectionResetError(104, "reset"), TimeoutError("late")])
def test_what_may_pass_is_tried_again(error):
    assert is_transient(mine, None, Failed(data=error))


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no such column"),
        ValidationFailed("a gate said no"),
        ArtifactError("damaged"),
        AccessError("no rights"),
        EnvironmentFault("disk full"),
        OSError(28, "No space left on device"),
        MemoryError(),
        KeyError("a defect of ours"),
    ],
)
def test_what_stays_as_it_is_fails_at_once(error):
    assert not is_transient(mine, None, Failed(data=error))


def test_pauses_grow_and_are_random():
    """A fixed pause would bring all workers back to a busy store in the same second."""
    assert (mine.retries, mine.retry_delay_seconds) == (3, [2, 15, 60])
    assert mine.retry_jitter_factor == 0.5
    assert mine.retry_condition_fn is is_transient
