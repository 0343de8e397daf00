"""Compare sets by their probes: a row for each, against the best of them and against random negatives."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from negset.errors import ConfigError
from negset.evaluation import MEASURES
from negset.probing.bootstrap import Difference, Interval, compare_with, interval
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, random_set
from negset.probing.folds import Fold, cross_folds, hold_out_split
from negset.probing.measuring import Measured, Probe, measure_set, measure_untrained

MEASURE = "ndcg_at_10"
"""What sets are ranked by."""
TEST = "test"
TRAINED_LIMIT, HELD_OUT_LIMIT = 8000, 3000
"""Queries that a probe trains on and is measured on, at the most: drawn by lot from larger collections."""
CONTROLS = ("(untrained)", "(random documents)")
"""Names of the controls: no set can have them by accident."""

Step = Callable[[str], None]


@dataclass(frozen=True)
class ProbeRow:
    """What probes say of one set; `below_best` and `above_random` are differences of the measure they are ranked by."""

    name: str
    trained: int
    mistakes: int
    measures: dict[str, float]
    interval: Interval
    spread: float
    below_best: Difference | None
    above_random: Difference | None


@dataclass(frozen=True)
class ProbeReport:
    """Rows by falling measure, the controls among them. `held_out` says in words which queries were measured."""

    kind: str
    held_out: str
    queries: int
    seeds: int
    rows: tuple[ProbeRow, ...]

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values, with `real` beside each difference."""
        rows = []
        for row in self.rows:
            plain = asdict(row)
            for name in ("below_best", "above_random"):
                found: Difference | None = getattr(row, name)
                plain[name] = None if found is None else {**asdict(found), "real": found.real}
            plain["spread"] = None if np.isnan(row.spread) else row.spread
            rows.append(plain)
        return {**asdict(self), "rows": rows}


def plan_folds(collection: ProbeCollection, split: str, seeds: int, seed: int) -> tuple[tuple[Fold, ...], str]:
    """Give a fold for each of `seeds` runs, and what is held out in words.

    Held out is `split`; if that is empty, the split `test` where it is there, else a part of the queries that changes
    from run to run. Raises ConfigError for fewer than two runs without a split to hold out.
    """
    chosen = split or (TEST if TEST in collection.splits() else "")
    if chosen:
        limits = {"trained_limit": TRAINED_LIMIT, "held_out_limit": HELD_OUT_LIMIT}
        fold = hold_out_split(collection, chosen, seed=seed, **limits)
        return (fold,) * seeds, f"split {chosen!r}"
    if seeds < 2:
        message = "without a split to hold out, each run holds out a part of its own: give --seeds 2 or more"
        raise ConfigError(message)
    rows = collection.of_splits(tuple(collection.splits()))
    folds = cross_folds(collection, rows, seeds, limit=TRAINED_LIMIT, seed=seed, positives_apart=False)
    return folds, f"one of {seeds} parts of the queries in each run, trained on the others"


def probe_sets(
    probe: Probe,
    collection: ProbeCollection,
    sets: Sequence[ProbeSet],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    tell: Step = lambda name: None,
) -> tuple[Measured, ...]:
    """Measure the controls and each of `sets`; `tell` is given each name once its runs are done."""
    measured = []
    trainable = np.unique(np.concatenate([fold.trained for fold in folds]))
    measured.append(measure_untrained(probe, collection, folds))
    for chosen in (random_set(collection, trainable, seeds[0]), *sets):
        measured.append(measure_set(probe, collection, chosen, folds, seeds))
        tell(chosen.name)
    return tuple(measured)


def report_sets(
    measured: Sequence[Measured], sets: Sequence[ProbeSet], kind: str, held_out: str, seed: int
) -> ProbeReport:
    """Compare what was `measured`; the controls come first in it, then the `sets` in their order."""
    values = np.stack([one.per_query(MEASURE) for one in measured])
    means = values.mean(axis=1)
    best = int(np.argmax(np.where(np.arange(len(means)) < len(CONTROLS), -np.inf, means)))
    below = compare_with(values, best, seed)
    above = [_turned(found) for found in compare_with(values, 1, seed)]
    mistakes = [0, 0, *(one.mistakes for one in sets)]
    rows = [
        ProbeRow(
            name=one.name,
            trained=one.trained,
            mistakes=mistakes[place],
            measures={measure: one.mean(measure) for measure in MEASURES},
            interval=interval(values[place], seed),
            spread=one.spread(MEASURE),
            below_best=below[place],
            above_random=above[place],
        )
        for place, one in enumerate(measured)
    ]
    ordered = sorted(rows, key=lambda row: (-row.measures[MEASURE], row.name))
    return ProbeReport(kind, held_out, values.shape[1], len(measured[0].values[MEASURE]), tuple(ordered))


def _turned(found: Difference | None) -> Difference | None:
    """Give the same comparison seen from the other side."""
    if found is None:
        return None
    gap = found.difference
    return Difference(Interval(-gap.mean, -gap.high, -gap.low), found.chance, found.adjusted)
