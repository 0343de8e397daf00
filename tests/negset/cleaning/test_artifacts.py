"""Which artifacts may go: what is a part of nothing, and, where it is asked for, what nobody needs."""

import os

import hypothesis.strategies as st
import pytest
from hypothesis import given

from negset.cleaning.artifacts import PARTS, Artifact, list_artifacts, pinned, unneeded
from negset.shards import ShardRef
from schemas.refs import CellRef, CellsRef, EncoderRef, MembersRef, PairScoresRef, SelectionRef

NOW, DAY = 1_000_000_000.0, 86_400.0


def key(letter):
    return letter * 64


def commit(store, ref, letter, facts=None):
    with store.staging() as staged:
        (staged / "data").write_bytes(b"x" * 10)
        return store.commit(ref, key(letter), key(letter), 1, staged, facts)


def artifact(kind, letter, named="", age=100.0):
    return Artifact((kind, key(letter)), key(letter), 1, NOW - age * DAY, frozenset(key(one) for one in named))


def going(*artifacts, needed=(), grace=3.0, unused=None):
    found = unneeded(
        {one.name: one for one in artifacts},
        [(kind, key(letter)) for kind, letter in needed],
        NOW,
        grace=grace * DAY,
        unused=None if unused is None else unused * DAY,
    )
    return {(kind, name[0]) for kind, name in found}


def test_parts_that_a_room_names_stay_and_rooms_stay():
    """Taking what no version names for garbage would throw the whole cache away."""
    assert going(artifact("cells", "a", "bc"), artifact("cell", "b"), artifact("cell", "c")) == set()
    assert going(artifact("snapshot", "a"), artifact("selection", "b"), artifact("members", "c")) == set()


def test_a_part_that_nothing_names_goes_when_it_is_old_enough():
    found = going(
        artifact("cells", "a", "b"), artifact("cell", "b"), artifact("cell", "c"), artifact("cell", "d", age=1)
    )
    assert found == {("cell", "c")}


def test_rooms_go_only_where_it_is_asked_for_and_nobody_needs_them():
    world = [
        artifact("cells", "a", "bc"),
        artifact("cell", "b"),
        artifact("cell", "c"),
        artifact("cells", "d", "ce"),  # c is a part of both
        artifact("cell", "e"),
        artifact("cells", "f", age=10),
    ]
    assert going(*world, needed=[("cells", "a")], unused=30) == {("cells", "d"), ("cell", "e")}
    assert going(*world, needed=[("cells", "a")], unused=5) == {("cells", "d"), ("cell", "e"), ("cells", "f")}
    assert going(*world, needed=[("cells", "d")], unused=30) == {("cells", "a"), ("cell", "b")}


def test_what_a_needed_room_names_is_needed():
    world = [artifact("snapshot", "a", "b"), artifact("members", "b"), artifact("members", "c")]
    assert going(*world, needed=[("snapshot", "a")], unused=30) == {("members", "c")}


def test_what_a_teacher_gave_is_never_removed():
    assert going(artifact("pair_scores", "a"), artifact("scores", "b"), unused=0, grace=0) == {("scores", "b")}


_LETTERS = "abcdefgh"


@given(
    kinds=st.lists(st.sampled_from([*PARTS, "cells", "vectors", "selection"]), min_size=8, max_size=8),
    edges=st.sets(st.tuples(st.sampled_from(_LETTERS), st.sampled_from(_LETTERS))),
    ages=st.lists(st.integers(0, 60), min_size=8, max_size=8),
    needed=st.sets(st.sampled_from(_LETTERS)),
    unused=st.sampled_from([None, 0.0, 30.0]),
)
def test_nothing_that_stays_ever_names_what_goes(kinds, edges, ages, needed, unused):
    """Neither do the young, and what a version needs, or anything that this names, ever go."""
    world = [
        artifact(kind, letter, "".join(sorted(to for frm, to in edges if frm == letter)), age)
        for letter, kind, age in zip(_LETTERS, kinds, ages, strict=True)
    ]
    kind_of = dict(zip(_LETTERS, kinds, strict=True))
    gone = {letter for _, letter in going(*world, needed=[(kind_of[one], one) for one in needed], unused=unused)}
    rooms_stay = {letter for letter in _LETTERS if kind_of[letter] not in PARTS and letter not in gone}
    assert not {to for frm, to in edges if frm in rooms_stay} & gone
    assert all(ages[_LETTERS.index(letter)] >= 3 for letter in gone)
    if unused is not None:
        reached = set(needed)
        while more := {to for frm, to in edges if frm in reached} - reached:
            reached |= more
        assert not {letter for letter in reached if kind_of[letter] not in PARTS} & gone


def test_the_facts_of_an_artifact_say_what_it_names(store):
    commit(store, CellsRef, "a", {"cells": [[0, "p", key("b")]], "more": {"deep": [key("c")]}})
    commit(store, CellRef, "b")
    found = list_artifacts(store)
    assert found[CellsRef.kind, key("a")].named == {key("b"), key("c")}
    assert found[CellRef.kind, key("b")].bytes > 10


def test_looking_for_an_artifact_is_using_it(store):
    commit(store, SelectionRef, "a")
    path = store.folder(SelectionRef.kind, key("a")) / "manifest.json"
    for look in (lambda: store.find(SelectionRef.kind, key("a")), lambda: store.open(SelectionRef.kind, key("a"))):
        os.utime(path, (1.0, 1.0))
        path.read_bytes()  # listing and backing up is not using
        assert list_artifacts(store)[SelectionRef.kind, key("a")].used == pytest.approx(1.0)
        look()
        assert list_artifacts(store)[SelectionRef.kind, key("a")].used > 1e9


def test_what_is_pinned_is_needed(store):
    for ref, letter in ((EncoderRef, "a"), (MembersRef, "b"), (ShardRef, "c"), (PairScoresRef, "d")):
        commit(store, ref, letter)
    found = list_artifacts(store)
    assert pinned(store.root, found) == set()
    place = store.root / "pins" / "bm25" / "log"
    place.mkdir(parents=True)
    (place / "label-0").write_text(f"{key('b')}\n")
    assert pinned(store.root, found) == {(EncoderRef.kind, key("a")), (MembersRef.kind, key("b"))}


def test_what_cannot_be_read_is_left_alone(store):
    commit(store, CellRef, "a")
    (store.folder(CellRef.kind, key("a")) / "manifest.json").write_text("{")
    (store.root / "cell" / "foreign").mkdir()
    assert list_artifacts(store) == {}
