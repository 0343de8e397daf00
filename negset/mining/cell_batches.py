"""Cut the cells that are to be mined into batches, each of which one task fills."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from negset.mining.cell_files import Cell


def cut_batches(cells: Sequence[Cell], wanted: int) -> list[list[Cell]]:
    """Cut `cells`, which stand partition by partition, into `wanted` batches at the most, about even, in their order.

    A partition is read once for each batch that has cells of it. So with more partitions than batches, a batch has
    whole ones; with fewer, each is shared by some batches, and none of these has cells of two.
    """
    parts = [list(part) for _, part in groupby(cells, key=lambda cell: cell.partition)]
    if len(parts) >= wanted:
        return _joined(parts, wanted)
    batches: list[list[Cell]] = []
    left = len(cells)
    for place, part in enumerate(parts):
        free = wanted - len(batches)
        share = min(max(free * len(part) // left, 1), free - (len(parts) - place - 1), len(part))
        batches += _split(part, share)
        left -= len(part)
    return batches


def _joined(parts: Sequence[list[Cell]], wanted: int) -> list[list[Cell]]:
    """Join consecutive `parts` into `wanted` batches, each ending where its share of all cells is reached."""
    total = sum(map(len, parts))
    batches: list[list[Cell]] = []
    done = 0
    for left, part in zip(range(len(parts), 0, -1), parts, strict=True):
        begins = not batches or done >= total * len(batches) / wanted or left <= wanted - len(batches)
        if begins and len(batches) < wanted:
            batches.append([])
        batches[-1] += part
        done += len(part)
    return batches


def _split(part: list[Cell], count: int) -> list[list[Cell]]:
    borders = [len(part) * place // count for place in range(count + 1)]
    return [part[start:end] for start, end in pairwise(borders)]
