"""Negatives of older versions of a set, the older the rarer: the version of age t with a share by t^-a.

The newest version has age 1. A version that was deleted has no share, and those of the others grow. The exponent of the
paper this is after was not read: 1 is ours.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from negset.arrays import Floats, Rows
from negset.batching.inputs import OlderVersion, PlanInputs
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, plan, shuffled
from negset.training.examples import Groups


class ReplayParams(PlanParams):
    """Options of power-law replay."""

    a: float = Field(1.0, ge=0)
    """Exponent: at 0 all versions have one share."""
    oldest: int = Field(10, ge=1)
    """Age of the oldest version that is used."""


@plan("power-law-replay", params=ReplayParams, versions=True)
def power_law_replay(inputs: PlanInputs, settings: PlanSettings, params: ReplayParams) -> PlanEpoch:
    """Visit every query once, some with the negatives that an older version of the set gave it."""
    versions = [one for one in inputs.versions() if one.age <= params.oldest]
    share_A = age_shares(versions, params.a)

    def visit(epoch: int) -> Visits:
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "order")
        version_Q, short = assign(inputs, versions, share_A, settings, epoch)
        version_V = version_Q[order]
        names = [one.version for one in versions]
        return Visits(
            order,
            cut(len(order), settings.batch_size),
            np.full(-(-len(order) // settings.batch_size), settings.in_batch),
            kind="version",
            group_V=version_V,
            group_names=names,
            negatives=_negatives(versions, version_V, order),
            probability_V=share_A[version_V],
            version_V=np.where(np.array([one.age for one in versions])[version_V] == 1, -1, version_V),
            version_names=names,
            notes={
                **{
                    f"visits_expected_at_age_{one.age}": round(share * len(order))
                    for one, share in zip(versions, share_A, strict=True)
                },
                "visits_that_an_older_version_could_not_fill": short,
            },
        )

    return visit


def age_shares(versions: Sequence[OlderVersion], a: float) -> Floats:
    """Give the share of each version; those that were deleted have none."""
    weight_A = np.array([0.0 if one.negatives is None else float(one.age) ** -a for one in versions])
    return np.asarray(weight_A / weight_A.sum(), dtype=np.float64)


def assign(
    inputs: PlanInputs, versions: Sequence[OlderVersion], share_A: Floats, settings: PlanSettings, epoch: int
) -> tuple[Rows, int]:
    """Give each query the place of a version that has negatives of it; count what older ones could not fill.

    The oldest chooses first, since it has the fewest queries; the newest has the rest.
    """
    queries = len(inputs.query_ids)
    version_Q = np.zeros(queries, dtype=np.int64)
    free_Q = np.ones(queries, dtype=np.bool_)
    short = 0
    for place in range(len(versions) - 1, 0, -1):
        one = versions[place]
        wanted = round(float(share_A[place]) * queries)
        if one.negatives is None or not wanted:
            continue
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "version", one.version)
        taken = order[free_Q[order] & (one.negatives.sizes()[order] > 0)][:wanted]
        version_Q[taken], free_Q[taken] = place, False
        short += wanted - len(taken)
    return version_Q, short


def _negatives(versions: Sequence[OlderVersion], version_V: Rows, query_V: Rows) -> Groups:
    """Give the negatives that its version gave the query of each visit."""
    size_V = np.zeros(len(query_V), dtype=np.int64)
    for place, one in enumerate(versions):
        if one.negatives is not None:
            size_V = np.where(version_V == place, one.negatives.sizes()[query_V], size_V)
    offsets = np.r_[0, np.cumsum(size_V)].astype(np.int64)
    rows = np.empty(int(offsets[-1]), dtype=np.int64)
    for place, one in enumerate(versions):
        if one.negatives is not None:
            rows[np.repeat(version_V == place, size_V)] = one.negatives.rows[
                one.negatives.entries(query_V[version_V == place])
            ]
    return Groups(offsets, rows)
