"""A store that ignores conditions is found out before anything is published to it."""

import pytest

from benchmarks import fault_proxy as faults
from negset.errors import EnvironmentFault
from negset.objects.conditions import require_conditions


def test_a_store_with_conditional_writes_passes_any_number_of_times(objects):
    require_conditions(objects)
    require_conditions(objects)


def test_a_store_that_ignores_conditions_is_refused(bucket):
    bucket.proxy.plan = lambda _method, _path: faults.IGNORED
    for _ in range(2):
        with pytest.raises(EnvironmentFault, match="ignores the conditions"):
            require_conditions(bucket.open())
