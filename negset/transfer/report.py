"""All that is said of several groups before a long training: what each does to each, and why it might."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.encoders.tokens import tokenise
from negset.threads import one_thread
from negset.training.examples import Rows
from negset.transfer.affinity import gradient_affinity
from negset.transfer.matrix import TransferGroup, TransferMatrix, measure_transfer
from negset.transfer.order import BucketGroup, Order, group_order, hardness
from negset.transfer.similarity import proxy_distance
from negset.transfer.world import Member, World, batch_gradients, cut_groups, join_members, training_steps

NEAR: Final = 3
"""Sources named for a target before training: the nearest."""


@dataclass(frozen=True)
class GroupSize:
    """What a group brings: training queries, their negatives and words, its share of all training queries."""

    name: str
    trained: int
    negatives: int
    words: int
    share: float
    held_out: int


@dataclass(frozen=True)
class PairSigns:
    """What is known of two groups without training: gradients where it starts, and how far their queries are apart.

    `distance` is from the training queries of `source` to the held-out queries of `target`.
    """

    source: str
    target: str
    cosine: float
    conflict: float
    distance: float


@dataclass(frozen=True)
class TransferReport:
    """What several groups do to each other; `steps` are those of each training."""

    target: str
    steps: int
    seeds: int
    groups: tuple[GroupSize, ...]
    left_out: Mapping[str, str]
    matrix: TransferMatrix
    signs: tuple[PairSigns, ...]

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values."""
        return {
            **asdict(self),
            "left_out": dict(self.left_out),
            "matrix": self.matrix.numbers(),
            "signs": [
                {name: None if value != value else value for name, value in asdict(one).items()} for one in self.signs
            ],
        }

    def nearest(self, target: str) -> list[str]:
        """Rank the other groups by how near their training queries are to the held-out ones of `target`."""
        others = [one for one in self.signs if one.target == target and one.source != target]
        known = [one for one in others if one.distance == one.distance]
        return [one.source for one in sorted(known, key=lambda one: (one.distance, one.source))][:NEAR]


def report_transfer(
    members: Sequence[Member],
    *,
    field: str,
    target: str,
    seeds: Sequence[int],
    tell: Callable[[str], None] = lambda line: None,
) -> TransferReport:
    """Measure what each group of `members` does to each other one on the split `target`.

    Raises ConfigError where there are fewer than two groups.
    """
    world = join_members(members)
    groups, left_out = cut_groups(members, world, field=field, target=target, seed=seeds[0])
    steps = training_steps(groups)
    probe = world.train(steps)
    with one_thread():
        signs = compare_groups(world, groups, seeds[0])
        matrix = measure_transfer(
            lambda trained, held_out, seed: probe.train(world.collection, world.chosen, trained, held_out, seed),
            world.corpora,
            groups,
            seeds,
            tell,
        )
    sizes = group_sizes(world, groups)
    return TransferReport(target, steps, len(seeds), tuple(sizes), left_out, matrix, tuple(signs))


def compare_groups(world: World, groups: Sequence[TransferGroup], seed: int) -> list[PairSigns]:
    """Give the signs of each pair of `groups`, each with itself too, where 0 or so is to be expected."""
    affinity = gradient_affinity([batch_gradients(world, group.trained, seed) for group in groups])
    found = []
    for place, source in enumerate(groups):
        for other, target in enumerate(groups):
            distance = proxy_distance(
                world.queries_QD[source.trained],
                world.collection.query_keys[source.trained],
                world.queries_QD[target.held_out],
                world.collection.query_keys[target.held_out],
                seed,
            )
            cosine, conflict = affinity.cosine_GG[place, other], affinity.conflict_GG[place, other]
            found.append(PairSigns(source.name, target.name, float(cosine), float(conflict), distance))
    return found


def group_sizes(world: World, groups: Sequence[TransferGroup]) -> list[GroupSize]:
    """Count what each of `groups` brings to training."""
    total = sum(len(group.trained) for group in groups)
    texts = world.collection.queries.get_column("text")
    return [
        GroupSize(
            group.name,
            len(group.trained),
            int(world.chosen.negatives.sizes()[group.trained].sum()),
            int(tokenise(texts.gather(group.trained).to_list()).list.len().sum() or 0),
            len(group.trained) / total,
            len(group.held_out),
        )
        for group in groups
    ]


def report_order(members: Sequence[Member], order: Order, target: str, most: int, seed: int) -> list[BucketGroup]:
    """Cut the training queries of `members`, all but those of the split `target`, into groups by an `order`."""
    world = join_members(members)
    rows = _training_rows(world, target)
    values = hardness(world) if order == "hardness" else _times(members)
    with one_thread():
        return group_order(world, rows, values[rows], most, seed)


def _training_rows(world: World, target: str) -> Rows:
    others = (world.collection.queries.get_column("split") != target).to_numpy()
    return world.chosen.usable(np.flatnonzero(others))


def _times(members: Sequence[Member]) -> Floats:
    """Give when each query was asked, in seconds since 1970, NaN where that is not known."""
    asked = pl.concat([member.asked_at for member in members])
    return asked.dt.epoch("us").cast(pl.Float64).fill_null(float("nan")).to_numpy() / 1e6
