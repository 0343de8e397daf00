"""Say of missing cells why they are missing and how they would be filled, without filling any."""

from collections import Counter
from collections.abc import Iterator, Sequence

from negset.mining.cell_files import Cell, document_keys, find_members
from negset.mining.cells import miner_identity
from negset.mining.filling import open_documents
from negset.mining.lineage import Plane, earlier_planes, find_change
from negset.mining.miner import MiningInputs, is_exact
from negset.store import Store


def explain_cells(inputs: MiningInputs, miner: str, missing: Sequence[Cell], store: Store) -> list[str]:
    """Give a line for each way in which partitions of the `missing` cells would be mined, the most frequent first.

    Documents of partitions that are not known are read and compared with what was mined before.
    """
    if not missing:
        return []
    identity = miner_identity(inputs, miner)
    planes = earlier_planes(store, inputs.dataset, miner, identity)
    if not planes:
        before = earlier_planes(store, inputs.dataset, miner)
        why = "what scores depend on has changed" if before else "not mined before"
        return [f"{len(missing)} cells mined whole: {why}"]
    explain = _explain_partitions if is_exact(inputs.config, miner) else _explain_unpatched
    counts = Counter(explain(inputs, missing, planes, store))
    return [
        f"{number} partition{'s' if number > 1 else ''}: {why}"
        for why, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _explain_unpatched(
    inputs: MiningInputs, missing: Sequence[Cell], planes: Sequence[Plane], _store: Store
) -> Iterator[str]:
    """Say of each partition whether it was there: what is not exact cannot be built upon."""
    for partition in sorted({cell.partition for cell in missing}):
        content = inputs.snapshot.partition_contents[partition]
        if any(plane.contents.get(partition) == content for plane in planes):
            yield "mined whole, queries came or changed or ask for more, and lists of this miner cannot be patched"
        elif any(partition in plane.contents for plane in planes):
            yield "mined whole, its documents changed, and lists of this miner cannot be patched"
        else:
            yield "mined whole, it was not there before"


def _explain_partitions(
    inputs: MiningInputs, missing: Sequence[Cell], planes: Sequence[Plane], store: Store
) -> Iterator[str]:
    for partition in sorted({cell.partition for cell in missing}):
        content = inputs.snapshot.partition_contents[partition]
        if any(plane.contents.get(partition) == content for plane in planes):
            yield "patched, queries came or changed or ask for more; their documents are the same"
            continue
        keys_N = find_members(store, content)
        if keys_N is None:
            keys_N = document_keys(open_documents(inputs, partition))
        change = find_change(store, planes, partition, keys_N)
        if change is not None:
            yield f"patched, {len(change.added):,} documents came or changed, {change.left:,} left or changed"
        elif any(partition in plane.contents for plane in planes):
            yield "mined whole, more than half of its documents are new"
        else:
            yield "mined whole, it was not there before"
