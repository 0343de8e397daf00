"""Recipes that choose the same for these queries: only the simplest of them is probed."""

from collections.abc import Sequence
from hashlib import sha256

from negset.probing.candidates import CURRENT, Candidate
from negset.probing.examples import ProbeSet


def distinct_sets(
    candidates: Sequence[Candidate], sets: Sequence[ProbeSet]
) -> tuple[tuple[ProbeSet, ...], dict[str, str]]:
    """Give one of the `sets` that are equal but for their names, and for each of the others, by name, why it is not.

    `candidates` are what the `sets` were chosen by, in the same order. The configured recipe stays; of others the one
    with the fewest teachers, then rules, then miners, then the first. The order of `sets` stays.
    """
    simplest: dict[str, int] = {}
    for place in sorted(range(len(sets)), key=lambda place: _cost(candidates[place])):
        simplest.setdefault(_content(sets[place]), place)
    left_out = {
        one.name: f"it chooses the same negatives as {sets[simplest[_content(one)]].name}"
        for place, one in enumerate(sets)
        if simplest[_content(one)] != place
    }
    return tuple(one for one in sets if one.name not in left_out), left_out


def _cost(candidate: Candidate) -> tuple[bool, int, int, int]:
    bound = candidate.bound
    return candidate.name != CURRENT, len(bound.teachers), len(bound.rules), len(candidate.config.mine.miners)


def _content(chosen: ProbeSet) -> str:
    """Name what a probe learns from."""
    digest = sha256()
    for part in (chosen.positives, chosen.negatives):
        digest.update(part.offsets.tobytes())
        digest.update(part.rows.tobytes())
    digest.update(chosen.weights.tobytes())
    return digest.hexdigest()
