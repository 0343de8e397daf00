"""One model of what an object store does, for a folder and for a bucket whose network fails."""

from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from benchmarks import fault_proxy as faults
from negset.errors import ConflictError, MissingObjectError

KEYS = st.sampled_from(["a", "b", "c/a", "c/b"])
DATA = st.sampled_from([b"", b"x", b"y", b"xy" * 500])
KINDS = tuple(kind for kind in faults.KINDS if kind not in (faults.STALL, faults.STALL_AFTER))


class Model(RuleBasedStateMachine):
    """A dictionary and a pointer, beside the store below a folder of their own."""

    def __init__(self, objects, folder):
        super().__init__()
        self.objects, self.folder = objects, folder
        self.there, self.pointer, self.written = {}, None, count()

    @rule(key=KEYS, data=DATA)
    def puts(self, key, data):
        if self.there.setdefault(key, data) == data:
            self.objects.put_once(f"{self.folder}/{key}", data)
        else:
            with pytest.raises(ConflictError):
                self.objects.put_once(f"{self.folder}/{key}", data)

    @rule(key=KEYS)
    def gets(self, key):
        if key in self.there:
            assert self.objects.get(f"{self.folder}/{key}") == self.there[key]
        else:
            with pytest.raises(MissingObjectError):
                self.objects.get(f"{self.folder}/{key}")

    @rule(stale=st.booleans())
    def swaps(self, stale):
        new = f"text {next(self.written)}"
        if stale:
            with pytest.raises(ConflictError):
                self.objects.swap(f"{self.folder}/POINTER", f"{self.pointer} before", new)
        else:
            self.objects.swap(f"{self.folder}/POINTER", self.pointer, new)
            self.pointer = new

    @rule()
    def reads(self):
        assert self.objects.read(f"{self.folder}/POINTER") == self.pointer

    @rule(key=KEYS)
    def deletes(self, key):
        self.objects.delete(f"{self.folder}/{key}")
        self.there.pop(key, None)

    @rule()
    def lists(self):
        found = {one.key.removeprefix(f"{self.folder}/"): one.bytes for one in self.objects.listed(self.folder)}
        pointer = {} if self.pointer is None else {"POINTER": len(self.pointer)}
        assert found == {key: len(data) for key, data in self.there.items()} | pointer


def test_both_do_what_the_model_does(objects, request):
    if request.node.callspec.params["objects"] == "bucket":
        request.getfixturevalue("bucket").inject_at_random(KINDS, share=0.2, seed=3)
    folders = count()
    run_state_machine_as_test(
        lambda: Model(objects, f"example-{next(folders)}"),
        settings=settings(
            max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
