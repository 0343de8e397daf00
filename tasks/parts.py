"""Parts of rooms, that several processes or machines take on: cells, shards of vectors, queries that are selected for.

Each opens what it reads, does its part and leaves artifacts; the room then finds them there. What was opened is kept
for the next part that the same process takes.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict

from negset import building
from negset.embed_plan import embed_planned, plan_embedding
from negset.encoders.encoder import Encoder, Role, open_encoder
from negset.mining.cells import fill_cells
from negset.mining.miner import MiningInputs
from negset.objects.opening import is_address
from negset.selecting import Opened, open_selection, select_part
from negset.snapshot import open_snapshot
from negset.threads import on_threads
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import EmbedPlanRef, EncoderRef, LedgerRefs, MiningRefs, SelectionPartRef, SnapshotRef
from tasks.place import Place
from tasks.policies import part


class Whereabouts(BaseModel):
    """Where a part was done, and into which store what it made went."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    store: str
    sets: str
    version: str


def whereabouts() -> Whereabouts:
    """Say where this process is, what it takes for the store and for published sets, and which negset it runs."""
    place = Place()
    return Whereabouts(
        host=socket.gethostname(),
        store=place.store if place.store and is_address(place.store) else str(place.open_store().root),
        sets=place.sets if place.sets and is_address(place.sets) else str(place.sets_folder()),
        version=version("negset"),
    )


@part("mine-cells")
def fill(
    config: BuildConfig, refs: MiningRefs, miner: str, cells: list[str], planes: list[str], threads: int
) -> Whereabouts:
    """Fill the `cells` of `miner` on so many `threads`; 0 leaves threads as they are."""
    with _threads(threads):
        inputs = _inputs(config.model_dump_json(), refs.model_dump_json(), str(Place()))
        fill_cells(inputs, miner, cells, planes, Place().open_store())
    return whereabouts()


@part("embed-plan")
def plan(encoder: EncoderConfig, prepared: EncoderRef, snapshot: SnapshotRef, role: Role) -> EmbedPlanRef:
    """Find the texts of `role` that have no vector yet."""
    store = Place().open_store()
    opened = open_encoder(encoder, store, prepared, os.environ)
    return plan_embedding(opened, open_snapshot(store, snapshot), role, store)


@part("embed-shards")
def embed(
    encoder: EncoderConfig,
    prepared: EncoderRef,
    snapshot: SnapshotRef,
    role: Role,
    plan: EmbedPlanRef,
    first: int,
    end: int,
    threads: int,
) -> Whereabouts:
    """Embed the shards of `plan` from `first` to before `end`."""
    store = Place().open_store()
    with _threads(threads):
        opened = _encoder(encoder.model_dump_json(), prepared, str(Place()))
        source = open_snapshot(store, snapshot)
        embed_planned(opened, source, role, plan, range(first, end), encoder.shard_size, store, encoder.storage)
    return whereabouts()


@part("select-queries")
def choose(config: BuildConfig, refs: LedgerRefs, first: int, end: int, last: bool, threads: int) -> SelectionPartRef:
    """Select for the queries of the blocks of the ledger from `first` to before `end`."""
    with _threads(threads):
        opened = _selection(config.model_dump_json(), refs.model_dump_json(), str(Place()))
        return select_part(config, refs, Place().open_store(), opened, range(first, end), last=last)


@lru_cache(1)
def _selection(config: str, refs: str, place: str) -> Opened:
    store = Place().open_store()
    return open_selection(BuildConfig.model_validate_json(config), LedgerRefs.model_validate_json(refs), store)


@lru_cache(1)
def _inputs(config: str, refs: str, place: str) -> MiningInputs:
    """Open what miners read; `place` says which store the cached one is of."""
    store = Place().open_store()
    return building.open_inputs(BuildConfig.model_validate_json(config), MiningRefs.model_validate_json(refs), store)


@lru_cache(1)
def _encoder(config: str, prepared: EncoderRef, place: str) -> Encoder:
    return open_encoder(EncoderConfig.model_validate_json(config), Place().open_store(), prepared, os.environ)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    with on_threads(count) if count else nullcontext():
        yield
