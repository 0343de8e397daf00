"""The log of a shared set: who moved its LATEST, from where to where, in one order that all agree on.

    <set>/history/00000001.json   a move each, put once: who puts number n has made the n-th move
    <set>/LATEST                  "<id> <n>": the move that readers follow

Putting a move is what decides; LATEST follows. Whoever finds it behind takes it forward, so a publisher that dies
between the two leaves nothing to mend. The number makes the text of each move its own, also where the id comes back.
"""

from collections.abc import Iterator
from datetime import datetime
from uuid import uuid4

from negset.errors import ArtifactError, ConflictError, MissingObjectError
from negset.fingerprint import canonical_json
from negset.objects.objects import Objects
from negset.publishing.manifest import ID_LENGTH
from negset.publishing.publish import HistoryEntry
from negset.publishing.reading import LATEST
from schemas.manifest import Record

MOVES = "history"


class Move(Record):
    """A move of LATEST; `write` tells it from every other, also from one of the same publisher to the same version."""

    entry: HistoryEntry
    write: str


def shared_latest(objects: Objects, dataset: str) -> tuple[str | None, int]:
    """Give the version that LATEST of `dataset` names and the number of its move; None and 0 where there is none."""
    key = f"{dataset}/{LATEST}"
    text = objects.read(key)
    if text is None:
        return None, 0
    identity, _, number = text.partition(" ")
    if len(identity) != ID_LENGTH or not number.isdecimal():
        message = f"{objects.url}/{key} holds {text[:40]!r}, which is no version id and number"
        raise ArtifactError(message)
    return identity, int(number)


def read_moves(objects: Objects, dataset: str) -> list[Move]:
    """Give every move of `dataset`, oldest first."""
    return list(_moves_from(objects, dataset, 1))


def move_latest(
    objects: Objects, dataset: str, identity: str, digest: str, *, by: str, at: datetime, write: str = ""
) -> None:
    """Move LATEST of `dataset` to its version `identity`, whose manifest has this `digest`.

    Of publishers at one time, one makes the next move and the others the moves after it. Where LATEST is at the
    version already, nothing is done. `write` names the attempt: a move under this name that was made already, and
    perhaps overtaken since, is not made again.
    """
    name = write or uuid4().hex
    if write and any(move.write == write for move in read_moves(objects, dataset)):
        catch_up(objects, dataset)
        return
    while True:
        latest, number = catch_up(objects, dataset)
        if latest == identity:
            return
        entry = HistoryEntry(
            n=number + 1,
            id=identity,
            parent=latest,
            published_at=at.isoformat(timespec="seconds"),
            by=by,
            sha256=digest,
        )
        move = Move(entry=entry, write=name)
        try:
            objects.put_once(_key(dataset, entry.n), f"{canonical_json(move.model_dump())}\n".encode())
        except ConflictError:
            continue  # somebody else made this move
        catch_up(objects, dataset)
        return


def catch_up(objects: Objects, dataset: str) -> tuple[str | None, int]:
    """Take LATEST of `dataset` to the last move that was made; give its version and number."""
    latest, number = shared_latest(objects, dataset)
    while (move := _read_move(objects, dataset, number + 1)) is not None:
        expected = None if latest is None else f"{latest} {number}"
        try:
            objects.swap(f"{dataset}/{LATEST}", expected, f"{move.entry.id} {move.entry.n}")
        except ConflictError:
            latest, number = shared_latest(objects, dataset)  # somebody else took it as far, or further
        else:
            latest, number = move.entry.id, move.entry.n
    return latest, number


def _moves_from(objects: Objects, dataset: str, number: int) -> Iterator[Move]:
    while (move := _read_move(objects, dataset, number)) is not None:
        yield move
        number += 1


def _read_move(objects: Objects, dataset: str, number: int) -> Move | None:
    key = _key(dataset, number)
    try:
        return Move.model_validate_json(objects.get(key))
    except MissingObjectError:
        return None
    except ValueError as error:
        message = f"{objects.url}/{key} is no move of {LATEST}: {error}"
        raise ArtifactError(message) from error


def _key(dataset: str, number: int) -> str:
    return f"{dataset}/{MOVES}/{number:08d}.json"
