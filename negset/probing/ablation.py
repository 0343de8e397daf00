"""Which composition of negatives teaches best at the same size, if any: measured, never assumed.

Hard or "bad" data is often taken to be needed; "Spread Love Not Hate" (arXiv 2210.04267) found that what was thought to
help by its kind helped no more than as much other text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from negset.errors import ConfigError
from negset.probing.bootstrap import Difference, Values, measure_runs
from negset.probing.collection import ProbeCollection
from negset.probing.compositions import require_same_size
from negset.probing.examples import ProbeSet
from negset.probing.folds import Fold
from negset.probing.measuring import Probe, measure_set
from negset.probing.report import MEASURE, Step

LEAST_SEEDS: Final = 3
FOLDS: Final = 3

Compose = Callable[[int], Mapping[str, ProbeSet]]
"""Give the sets of each composition, by name, for a seed."""


@dataclass(frozen=True)
class CompositionRow:
    """What a composition measured: mean, and standard deviation over seeds. `below_best` compares it with the best."""

    name: str
    mean: float
    sd: float
    below_best: Difference | None


@dataclass(frozen=True)
class AblationReport:
    """Rows by falling mean. `use` is the composition to use, None where no difference holds.

    `budget` counts the rows, pairs of a query and a negative, that each composition has.
    """

    rows: tuple[CompositionRow, ...]
    use: str | None
    budget: int
    queries: int
    seeds: int

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values, with `real` beside each difference."""
        rows = []
        for row in self.rows:
            found = row.below_best
            rows.append({**asdict(row), "below_best": found and {**asdict(found), "real": found.real}})
        return {**asdict(self), "rows": rows}


def ablate(
    probe: Probe,
    collection: ProbeCollection,
    folds: Sequence[Fold],
    compose: Compose,
    seeds: Sequence[int],
    tell: Step = lambda line: None,
) -> AblationReport:
    """Train a probe on each composition, for each of `seeds` in each of `folds`, and compare them with the best.

    All train on the same queries in the same order for the same number of steps. Raises ConfigError for fewer than
    `LEAST_SEEDS` seeds and for compositions of different sizes.
    """
    if len(seeds) < LEAST_SEEDS:
        message = f"{len(seeds)} seeds cannot tell a composition from luck: give {LEAST_SEEDS} or more"
        raise ConfigError(message)
    runs: dict[str, list[Values]] = {}
    budget = 0
    for seed in seeds:
        sets = compose(seed)
        budget = require_same_size(sets)
        for name, chosen in sets.items():
            measured = [measure_set(probe, collection, chosen, [fold], [seed]).values[MEASURE][0] for fold in folds]
            runs.setdefault(name, []).append(np.concatenate(measured))
            tell(f"seed {seed}: {name} {runs[name][-1].mean():.4f}")
    return report_ablation({name: np.stack(found) for name, found in runs.items()}, budget, seeds[0])


def report_ablation(values: Mapping[str, Values], budget: int, seed: int) -> AblationReport:
    """Compare `values` (seeds, queries) by name with the one of the highest mean, the first of equals.

    It is to be used only if its interval over each other one excludes 0, and each difference holds after Holm's
    correction: that it came out best of several proves nothing.
    """
    means = {name: float(one.mean()) for name, one in values.items()}
    best = max(means, key=lambda name: means[name])
    others = [name for name in values if name != best]
    differences = dict(zip(others, measure_runs([values[best] - values[name] for name in others], seed), strict=True))
    decided = all(found.real and found.difference.low > 0 for found in differences.values())
    rows = [
        CompositionRow(name, means[name], float(one.mean(axis=1).std(ddof=1)), differences.get(name))
        for name, one in values.items()
    ]
    order = list(values)
    ordered = sorted(rows, key=lambda row: (-row.mean, order.index(row.name)))
    seeds, queries = values[best].shape
    return AblationReport(tuple(ordered), best if decided else None, budget, queries, seeds)
