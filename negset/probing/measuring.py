"""Run probes: train on each set in each fold, measure the held-out queries, compare the sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from negset.arrays import Matrix
from negset.errors import ConfigError
from negset.evaluation import MEASURES
from negset.probing.bootstrap import Values
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet
from negset.probing.folds import Fold
from negset.probing.ranking import Ranked, measure_vectors
from negset.threads import one_thread
from negset.training.examples import Rows


class Probe(Protocol):
    """Something small that can be trained in seconds."""

    def untrained(self, rows: Rows) -> tuple[Matrix, Matrix]:
        """Give the vectors of the query `rows` and of all documents before training."""

    def train(
        self, collection: ProbeCollection, chosen: ProbeSet, trained: Rows, held_out: Rows, seed: int
    ) -> tuple[Matrix, Matrix]:
        """Train on the queries `trained` of `chosen`; give vectors as `untrained` does for `held_out`."""


@dataclass(frozen=True)
class Measured:
    """What the runs on one set measured: for each measure an array (runs, queries), NaN where a run did not measure.

    `rows` are the queries, ascending; `trained` the mean number of queries that a run trained on.
    """

    name: str
    rows: Rows
    trained: int
    values: dict[str, Values]

    def per_query(self, measure: str) -> Values:
        """Average the runs that measured a query, for each query."""
        return np.asarray(np.nanmean(self.values[measure], axis=0))

    def mean(self, measure: str) -> float:
        """Average over queries."""
        return float(self.per_query(measure).mean())

    def spread(self, measure: str) -> float:
        """Give the standard deviation of the runs' means; NaN where runs measured different queries, or for one run.

        It is the luck of seeds, not that of queries.
        """
        values = self.values[measure]
        if len(values) < 2 or np.isnan(values).any():
            return float("nan")
        return float(values.mean(axis=1).std(ddof=1))


def measure_set(
    probe: Probe, collection: ProbeCollection, chosen: ProbeSet, folds: Sequence[Fold], seeds: Sequence[int]
) -> Measured:
    """Train a probe on `chosen` for each seed, in its fold, and measure what that fold holds out.

    Raises ConfigError where the set has nothing to train on in a fold.
    """
    runs: list[Ranked] = []
    trained = 0
    with one_thread():
        for fold, seed in zip(folds, seeds, strict=True):
            usable = chosen.usable(fold.trained)
            if not len(usable):
                message = f"{chosen.name} has no query to train a probe on: none of {len(fold.trained)} has a negative"
                raise ConfigError(message)
            trained += len(usable)
            vectors = probe.train(collection, chosen, usable, fold.held_out, seed)
            runs.append(measure_vectors(collection, fold.held_out, *vectors))
    return stack_runs(chosen.name, runs, round(trained / len(runs)))


def measure_untrained(probe: Probe, collection: ProbeCollection, folds: Sequence[Fold]) -> Measured:
    """Measure what is held out before any training."""
    with one_thread():
        runs = [measure_vectors(collection, fold.held_out, *probe.untrained(fold.held_out)) for fold in folds]
    return stack_runs("(untrained)", runs, 0)


def stack_runs(name: str, runs: Sequence[Ranked], trained: int) -> Measured:
    """Put the measures of several runs into one array, a row each."""
    rows = np.unique(np.concatenate([run.rows for run in runs]))
    values = {measure: np.full((len(runs), len(rows)), np.nan) for measure in MEASURES}
    for number, run in enumerate(runs):
        place = np.searchsorted(rows, run.rows)
        for measure, array in values.items():
            array[number, place] = run.values[measure]
    return Measured(name, rows, trained, values)
