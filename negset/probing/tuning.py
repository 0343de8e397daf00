"""Choose a recipe by measurement: probe many on held-out parts of the training queries and say what is known after it.

The training queries are cut into folds. Every run trains on all folds but one and measures that one, so that after a
round over the folds each query was measured once by a probe that never saw it. Of other splits only this is read:
whether their queries ask for the documents that training queries ask for.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from negset.errors import ConfigError, listed
from negset.probing.bootstrap import Difference, Interval, Values, chosen_interval, compare_with, interval
from negset.probing.candidates import CURRENT
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, random_set
from negset.probing.folds import Fold, asks_for_new_documents, cross_folds, shared_positives
from negset.probing.halving import plan_rounds, run_rounds
from negset.probing.measuring import Measured, Probe, measure_set, measure_untrained
from negset.probing.report import MEASURE, TEST, Step
from negset.training.examples import Rows
from schemas.config import BuildConfig

FOLDS: Final = 5
PASSES: Final = 2
"""Rounds over all folds; in the second, other seeds train what is left of the candidates."""
QUERY_LIMIT: Final = 5000
"""Training queries that are used at the most: four fifths of them train a probe."""
_HELD_OUT: Final = (TEST, "dev", "val", "valid", "validation")


@dataclass(frozen=True)
class TuneRow:
    """What is known of one candidate. `below_chosen` compares it with the chosen one on the queries of its runs."""

    name: str
    runs: int
    queries: int
    interval: Interval
    below_chosen: Difference | None
    finalist: bool
    trained: int


@dataclass(frozen=True)
class TuneReport:
    """The chosen recipe, what the choice is worth, and a row for each candidate, finalists by falling measure first.

    `worth` is the measure of choosing so and `gain` what it brings over the configured recipe, both without the luck
    of having been chosen; `before` and `control` are the untrained encoder and random documents on the same queries.
    `idle` are candidates that gave no negatives to train on, `shared` counts the queries measured by a probe that was
    trained on one of their positives.
    """

    chosen: str
    worth: Interval
    gain: Interval | None
    before: float
    control: float
    queries: int
    trainings: int
    rows: tuple[TuneRow, ...]
    idle: tuple[str, ...]
    shared: int = 0

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values, with `real` beside each difference."""
        rows = []
        for row in self.rows:
            found = row.below_chosen
            rows.append({**asdict(row), "below_chosen": found and {**asdict(found), "real": found.real}})
        return {**asdict(self), "rows": rows}


def training_splits(config: BuildConfig, collection: ProbeCollection) -> tuple[str, ...]:
    """Name the splits whose queries are trained on: those of `mine.splits`, else all but the usual held-out ones.

    Never `test`. Raises ConfigError where nothing is left.
    """
    asked = config.mine.splits or tuple(name for name in collection.splits() if name not in _HELD_OUT)
    found = tuple(name for name in asked if name != TEST and name in collection.splits())
    if not found:
        message = (
            f"no split to tune on: mine.splits is {list(config.mine.splits)}, the splits with positives are "
            f"{listed(collection.splits())}, and {TEST!r} is never read. Name the training splits in mine.splits"
        )
        raise ConfigError(message)
    return found


def plan_tuning(collection: ProbeCollection, splits: tuple[str, ...], seed: int) -> tuple[Fold, ...]:
    """Cut the queries of `splits` into folds, held out as queries to come will be; ConfigError for too few of them."""
    apart, rows = asks_for_new_documents(collection, splits), collection.of_splits(splits)
    return cross_folds(collection, rows, FOLDS, limit=QUERY_LIMIT, seed=seed, positives_apart=apart)


def pool_of(folds: Sequence[Fold]) -> Rows:
    """Give the rows of all queries of `folds`, ascending."""
    return np.sort(np.concatenate([fold.held_out for fold in folds]))


def tune(
    probe: Probe,
    collection: ProbeCollection,
    folds: Sequence[Fold],
    sets: Sequence[ProbeSet],
    *,
    budget: int = 0,
    seed: int = 0,
    tell: Step = lambda name: None,
) -> TuneReport:
    """Probe `sets` in rounds of fewer and fewer, a fold in each, and report which recipe to choose.

    The set named `CURRENT` stays to the end, since the gain is over it.
    Raises ConfigError where no set has negatives in every fold, and where the budget does not reach.
    """
    usable = [one for one in sets if all(len(one.usable(fold.trained)) for fold in folds)]
    if not usable:
        message = "no recipe gives negatives in every fold: mine deeper (mine.depth), or give more queries"
        raise ConfigError(message)
    by_name = {one.name: one for one in usable}
    schedule = plan_rounds(len(usable), len(folds) * PASSES, budget)
    runs: dict[str, list[Measured]] = {name: [] for name in by_name}

    def measure(name: str, number: int) -> float:
        fold = folds[number % len(folds)]
        runs[name].append(measure_set(probe, collection, by_name[name], [fold], [seed + number]))
        value = runs[name][-1].mean(MEASURE)
        tell(f"round {number + 1} of {len(schedule.sizes)}: {name} {value:.4f}")
        return value

    always = [name for name in by_name if name == CURRENT]
    rounds = run_rounds(schedule, list(by_name), measure, always, _recipe_of)
    pool = pool_of(folds)
    values_SQ = np.stack([_per_query(pool, runs[name]) for name in by_name])
    control = random_set(collection, pool, seed)
    return report_tuning(
        list(by_name),
        values_SQ,
        [name in rounds[-1] for name in by_name],
        runs=[len(runs[name]) for name in by_name],
        trained=[runs[name][0].trained for name in by_name],
        before=measure_untrained(probe, collection, folds).mean(MEASURE),
        control=measure_set(probe, collection, control, folds, range(seed, seed + len(folds))).mean(MEASURE),
        seed=seed,
        idle=tuple(one.name for one in sets if one.name not in by_name),
        shared=shared_positives(collection, tuple(folds)),
    )


def _recipe_of(name: str) -> str:
    """Give the recipe of a candidate's name, without its options."""
    return name if name == CURRENT else name.split(" ")[0]


def _per_query(pool: Rows, runs: Sequence[Measured]) -> Values:
    """Average what the runs measured of each query of `pool`; NaN where none did."""
    total, count = np.zeros(len(pool)), np.zeros(len(pool))
    for run in runs:
        place = np.searchsorted(pool, run.rows)
        total[place] += run.values[MEASURE][0]
        count[place] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def report_tuning(
    names: Sequence[str],
    values_SQ: Values,
    finalist: Sequence[bool],
    *,
    runs: Sequence[int],
    trained: Sequence[int],
    before: float,
    control: float,
    seed: int,
    idle: tuple[str, ...] = (),
    shared: int = 0,
) -> TuneReport:
    """Choose the finalist with the highest mean, the first of equals, and compare all with it.

    `values_SQ` is NaN where a candidate was not measured on a query; finalists were on all.
    """
    final = np.flatnonzero(finalist)
    best = int(final[np.argmax(values_SQ[final].mean(axis=1))])
    below = compare_with(values_SQ, best, seed)
    rows = [
        TuneRow(
            name=name,
            runs=runs[place],
            queries=int((~np.isnan(values_SQ[place])).sum()),
            interval=interval(values_SQ[place][~np.isnan(values_SQ[place])], seed),
            below_chosen=below[place],
            finalist=bool(finalist[place]),
            trained=trained[place],
        )
        for place, name in enumerate(names)
    ]
    current = list(names).index(CURRENT) if CURRENT in names else None
    gains = None if current is None else values_SQ[final] - values_SQ[current]
    return TuneReport(
        chosen=names[best],
        worth=chosen_interval(values_SQ[final], seed),
        gain=None if gains is None else chosen_interval(gains, seed),
        before=before,
        control=control,
        queries=values_SQ.shape[1],
        trainings=sum(runs),
        rows=tuple(sorted(rows, key=_place)),
        idle=idle,
        shared=shared,
    )


def _place(row: TuneRow) -> tuple[bool, int, float, str]:
    """Order finalists first, then by runs, then by how far below the chosen one."""
    gap = row.below_chosen.difference.mean if row.below_chosen else 0.0
    return not row.finalist, -row.runs, gap if row.below_chosen else -np.inf, row.name
