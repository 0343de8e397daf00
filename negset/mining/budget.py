"""How much memory and disk mining takes, and how its work is cut so that it keeps to a budget.

Bounded are: ids and digests of all documents; the documents of one partition (their texts while they are read, their
vectors where there is room to keep them, else a chunk at a time); one block of queries with their pools and lists; and
the libraries. The figures are estimates from measured runs; `benchmarks.scale` compares them with what a limited
process needs.
"""

import os
import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from negset.arrays import Rows
from negset.errors import ConfigError
from negset.mining.cell_files import KEY_BYTES, PAIR, QUERY
from negset.mining.lists import reserve
from negset.snapshot import Snapshot

LIBRARIES: Final = 600_000_000
"""Bytes of a process that has imported polars, pyarrow, torch and Prefect, before any data."""
SHARE_OF_MACHINE: Final = 0.5
"""Part of the machine's memory that is taken where no budget is given."""
SMALLEST_BLOCK: Final = 64

_PER_TEXT: Final = 75  # digests in two files, place
_PER_ANY: Final = 120  # id, digest and place of any document: measured at ten million
_PER_DOCUMENT: Final = 150  # ids, digests, places and rows of a partition that is open
_TEXT_COPIES: Final = 3  # a text as read, as hashed and as embedded or tokenised
_PER_LISTED: Final = 320  # a pair in pools, proposals, lists and the file that is written
_CHUNKS: Final = 3 * (1 << 14)  # vectors of chunks on their way, in documents
_TILES: Final = 1 << 24  # scores of the tiles of all threads
_UNITS: Final = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_CGROUPS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Budget:
    """What mining may take: `block` queries at once and `kept` bytes of loaded documents; `peak` is what that needs.

    `kept_whole` tells whether the largest partition fits into what is kept.
    """

    total: int
    block: int
    kept: int
    kept_whole: bool
    peak: int


@dataclass(frozen=True)
class Load:
    """What mining works on: documents in all, rows and text bytes of the largest partition, width, list lengths."""

    corpus: int
    documents: int
    text: int
    dimensions: int
    lengths: Rows


def memory_bytes(memory: str) -> int:
    """Read an amount such as `4GB`; empty gives half of what this machine, container or process may use."""
    if not memory:
        return int(machine_memory() * SHARE_OF_MACHINE)
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(KB|MB|GB|TB)", memory)
    if found is None:
        message = f"{memory!r} is no amount of memory: write a number and KB, MB, GB or TB, such as 4GB"
        raise ConfigError(message)
    return int(float(found[1]) * _UNITS[found[2]])


def measure_load(snapshot: Snapshot, depth_Q: Rows, dimensions: int) -> Load:
    """Gather what a budget is planned for; texts are read from the footers of the files alone."""
    documents = max((facts.documents for facts in snapshot.partition_facts.values()), default=0)
    text = max((_text_bytes(snapshot, name) for name in snapshot.partitions()), default=0)
    corpus = sum(facts.documents for facts in snapshot.partition_facts.values())
    return Load(corpus, documents, text, dimensions, depth_Q + reserve(depth_Q))


def plan_budget(total: int, load: Load, block: int) -> Budget:
    """Cut the work so that it fits into `total` bytes, with `block` queries at once at the most.

    Raises ConfigError where not even a small block fits, saying what would.
    """
    fixed = LIBRARIES + _TILES + _PER_ANY * load.corpus + _TEXT_COPIES * load.text + _PER_DOCUMENT * load.documents
    fixed += 4 * load.dimensions * _CHUNKS
    length = int(load.lengths.max(initial=1))
    # Long lists are rare: most queries have one positive.
    usual = float(np.quantile(load.lengths, 0.99)) if len(load.lengths) else 1.0
    per_query = 12 * load.dimensions + _PER_LISTED * usual
    spare = total - fixed - _PER_LISTED * length
    if spare < SMALLEST_BLOCK * per_query:
        needed = (fixed + _PER_LISTED * length + SMALLEST_BLOCK * per_query) / 1e9
        message = (
            f"mining needs {needed:.2f} GB for partitions of {load.documents:,} documents, "
            f"resources.memory gives {total / 1e9:.2f} GB: raise it, or cut the corpus into more partitions"
        )
        raise ConfigError(message)
    whole = 4 * load.dimensions * load.documents
    kept = whole if whole <= spare / 2 else 0
    fitting = min(block, int((spare - kept) // per_query))
    peak = int(total - spare + kept + min(fitting, len(load.lengths)) * per_query)
    return Budget(total, fitting, int(spare / 2), kept > 0, peak)


def vectors_disk(texts: int, dimensions: int, item_bytes: int) -> int:
    """Give the bytes of the vectors of as many `texts`, with what finds them."""
    return texts * (dimensions * item_bytes + _PER_TEXT)


def cells_disk(load: Load, partition_documents: Sequence[int]) -> int:
    """Give the bytes of one miner's cells: each query's list in each partition, as long as it can be."""
    lists = sum(int(np.minimum(load.lengths, documents).sum()) for documents in partition_documents)
    per_query = QUERY.itemsize * len(load.lengths) * len(partition_documents)
    return lists * PAIR.itemsize + per_query + KEY_BYTES * sum(partition_documents)


def _text_bytes(snapshot: Snapshot, partition: str) -> int:
    footer = pq.read_metadata(snapshot.folder / "corpus" / f"{partition}.parquet")
    return sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))


def machine_memory() -> int:
    """Give the memory of the machine, or the lower limit that a container or this process has."""
    amounts = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUPS:
        text = Path(path).read_text().strip() if Path(path).is_file() else ""
        amounts += [int(text)] if text.isdigit() else []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min([*amounts, *([limit] if limit != resource.RLIM_INFINITY else [])])
