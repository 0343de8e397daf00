"""The transfer matrix: what adding each group to the training of another does to the other, measured by probes.

T[s, t] = measure of t after training on s and t, less that after training on t alone. All trainings take the same
number of steps, so that a copy of t brings nothing: without that, whatever is added helps by training longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from negset.arrays import Matrix
from negset.probing.bootstrap import Difference, Values, measure_runs
from negset.probing.collection import ProbeCollection
from negset.probing.ranking import measure_vectors
from negset.training.examples import Rows

MEASURE = "ndcg_at_10"
Train = Callable[[Rows, Rows, int], tuple[Matrix, Matrix]]
"""Train on query rows with a seed; give the vectors of held-out query rows and of all documents."""


@dataclass(frozen=True)
class TransferGroup:
    """Queries to train on and to measure, rows of a world; `part` is the corpus that its queries search."""

    name: str
    part: int
    trained: Rows
    held_out: Rows


@dataclass(frozen=True)
class Corpus:
    """A collection in a world of several: where its queries and documents start among all."""

    collection: ProbeCollection
    first_query: int
    first_document: int


@dataclass(frozen=True)
class Transfer:
    """What adding `source` to the training on `target` does to it."""

    source: str
    target: str
    change: Difference

    @property
    def sign(self) -> str:
        """Give + or - where the 95 % interval excludes 0, else 0."""
        found = self.change.difference
        return "+" if found.low > 0 else "-" if found.high < 0 else "0"


@dataclass(frozen=True)
class TransferMatrix:
    """All pairs of groups, `alone` (the measure of each trained on by itself), and the mean effect of each source."""

    alone: Mapping[str, float]
    cells: tuple[Transfer, ...]
    effects: Mapping[str, float]

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values."""
        cells = [{**asdict(cell), "sign": cell.sign, "real": cell.change.real} for cell in self.cells]
        return {"alone": dict(self.alone), "transfer": cells, "effects": dict(self.effects)}


def measure_transfer(
    train: Train,
    corpora: Sequence[Corpus],
    groups: Sequence[TransferGroup],
    seeds: Sequence[int],
    tell: Callable[[str], None] = lambda line: None,
) -> TransferMatrix:
    """Train on each of `groups` and on each pair, once for each of `seeds`, and compare; two seeds or more.

    `train` takes the same number of steps each time. Groups of a pair are trained together once and measured apart.
    """
    alone = {}
    for group in groups:
        alone[group.name] = _measure(train, corpora, (group,), seeds)[group.name]
        tell(f"trained on {group.name}")
    pairs: list[tuple[str, str]] = []
    gains: list[Values] = []
    for one, other in combinations(groups, 2):
        both = _measure(train, corpora, (one, other), seeds)
        tell(f"trained on {one.name} and {other.name}")
        for source, target in ((one, other), (other, one)):
            pairs.append((source.name, target.name))
            gains.append(both[target.name] - alone[target.name])
    changes = measure_runs(gains, seeds[0])
    cells = [Transfer(*pair, change) for pair, change in zip(pairs, changes, strict=True)]
    names = [group.name for group in groups]
    cells.sort(key=lambda cell: (names.index(cell.source), names.index(cell.target)))
    return TransferMatrix({name: float(values.mean()) for name, values in alone.items()}, tuple(cells), _effects(cells))


def _effects(cells: Sequence[Transfer]) -> dict[str, float]:
    """Average what each source does over all targets, each counting the same."""
    by_source: dict[str, list[float]] = {}
    for cell in cells:
        by_source.setdefault(cell.source, []).append(cell.change.difference.mean)
    return {source: float(np.mean(found)) for source, found in by_source.items()}


def _measure(
    train: Train, corpora: Sequence[Corpus], groups: Sequence[TransferGroup], seeds: Sequence[int]
) -> dict[str, Values]:
    """Train on all of `groups` together; give for each what its held-out queries measure, (seeds, queries)."""
    trained = np.sort(np.concatenate([group.trained for group in groups]))
    held_out = np.concatenate([group.held_out for group in groups])
    found: dict[str, list[Values]] = {group.name: [] for group in groups}
    for seed in seeds:
        queries_HD, documents_ND = train(trained, held_out, seed)
        start = 0
        for group in groups:
            vectors_GD = queries_HD[start : start + len(group.held_out)]
            start += len(group.held_out)
            found[group.name].append(_measure_group(corpora[group.part], group, vectors_GD, documents_ND))
    return {name: np.stack(rows) for name, rows in found.items()}


def _measure_group(corpus: Corpus, group: TransferGroup, queries_GD: Matrix, documents_ND: Matrix) -> Values:
    """Measure a group over the documents of its own corpus."""
    first, count = corpus.first_document, len(corpus.collection.doc_ids)
    own_ND = documents_ND[first : first + count]
    ranked = measure_vectors(corpus.collection, group.held_out - corpus.first_query, queries_GD, own_ND)
    return ranked.values[MEASURE]
