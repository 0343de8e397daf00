"""Find out whether a store keeps to the conditions of writes: some accept them and do not."""

from negset.errors import ConflictError, EnvironmentFault
from negset.objects.objects import Objects

PROBE = "conditional-writes"


def require_conditions(objects: Objects) -> None:
    """Raise EnvironmentFault where `objects` lets an object be replaced by a write that asked it not to."""
    objects.put_once(PROBE, b"this object is put once\n")
    try:
        objects.put_once(PROBE, b"and this is never there\n")
    except ConflictError:
        return
    message = (
        f"{objects.url} ignores the conditions of writes (If-None-Match), so publishers could overwrite each other. "
        "Nothing was published; use a store that has conditional writes"
    )
    raise EnvironmentFault(message)
