"""What all rooms share: the cache key, the record of a reference, the retries."""

import hashlib
import json
from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.serializers import D, Serializer

from negset.errors import TransientError
from negset.fingerprint import canonical_json
from negset.store import Store
from schemas.refs import Ref

P = ParamSpec("P")
R = TypeVar("R")
RefT = TypeVar("RefT", bound=Ref)


class RefSerializer(Serializer[D]):
    """Record a reference as plain JSON. Prefect's own serializers run pickle, or import what a record names."""

    type: Literal["negset-ref"] = "negset-ref"

    def dumps(self, obj: D) -> bytes:
        """Write a reference with its kind, or the message of the error that a failed room ended in."""
        if isinstance(obj, BaseException):
            return canonical_json({"failed": type(obj).__name__, "message": str(obj)}).encode()
        if not isinstance(obj, Ref):
            message = f"a room gives a reference, not a {type(obj).__name__}"
            raise TypeError(message)
        return canonical_json({"ref": obj.kind, **obj.model_dump()}).encode()

    def loads(self, blob: bytes) -> D:
        """Read a reference; what is none, an unknown kind or field is an error, and Prefect then computes anew."""
        values = json.loads(blob)
        kinds = {ref.kind: ref for ref in Ref.__subclasses__()}
        return cast("D", kinds[values.pop("ref")].model_validate(values))


def cache_key(context: TaskRunContext, parameters: dict[str, object]) -> str:
    """Give the room's name and its `fingerprint` parameter as one hex key.

    The fingerprint covers contents, options and the versions of room and rules. Prefect's own policies see neither
    a file behind a path nor a change in an imported module.
    """
    return hashlib.sha256(f"{context.task.name} {parameters['fingerprint']}".encode()).hexdigest()


def is_transient(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Say whether a failure may pass by itself: what we call so, and a connection that broke or timed out.

    All else fails at once: a wrong configuration, a gate that says no, damaged data, a full disk.
    """
    return isinstance(state.result(raise_on_failure=False), TransientError | ConnectionError | TimeoutError)


def room(name: str) -> Callable[[Callable[P, RefT]], Task[P, RefT]]:
    """Make a function that takes a `fingerprint` and gives a reference into a cached, retryable task."""
    return task(
        name=name,
        cache_policy=CacheKeyFnPolicy(cache_key_fn=cache_key),
        result_serializer=RefSerializer(),
        persist_result=True,
        retries=3,
        retry_delay_seconds=[2, 15, 60],
        retry_jitter_factor=0.5,
        retry_condition_fn=is_transient,
    )


def part(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function that does a part of a room's work into a retryable task.

    Not a cached one: what it makes are artifacts, of which a later run asks only for those that are missing.
    """
    return task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=3,
        retry_delay_seconds=[2, 15, 60],
        retry_jitter_factor=0.5,
        retry_condition_fn=is_transient,
    )


def through_cache(chosen: Task[P, RefT], there: bool) -> Task[P, RefT]:
    """Give `chosen`, made to run anew unless its artifact is `there`: Prefect's record alone proves nothing."""
    return chosen if there else chosen.with_options(refresh_cache=True)


def is_stored(store: Store, ref: type[Ref], fingerprint: str) -> bool:
    """Say whether the artifact that a cached reference names is in `store` and whole."""
    return store.find(ref.kind, fingerprint) is not None
