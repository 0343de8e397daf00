"""From a configuration and what was mined to a chosen recipe: select in memory, probe, report."""

from collections.abc import Mapping, Sequence

from negset import building
from negset.errors import ConfigError
from negset.probing.candidates import Candidate, Candidates
from negset.probing.collection import ProbeCollection, open_collection
from negset.probing.distinct import distinct_sets
from negset.probing.examples import ProbeSet
from negset.probing.halving import plan_rounds
from negset.probing.opening import Kind, open_probe
from negset.probing.report import Step
from negset.probing.selecting import MinedCandidates, ledger_key, read_ledger, select_set
from negset.probing.tuning import FOLDS, PASSES, TuneReport, plan_tuning, pool_of, training_splits, tune
from negset.snapshot import open_snapshot
from negset.store import Store
from negset.training.examples import Rows
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs

Key = tuple[tuple[str, ...], str, tuple[str, ...]]


def distinct_ledgers(candidates: Sequence[Candidate]) -> dict[Key, Candidate]:
    """Give one candidate for each ledger that the `candidates` read, the first one's first."""
    found: dict[Key, Candidate] = {}
    for candidate in candidates:
        found.setdefault(ledger_key(candidate), candidate)
    return found


def require_budget(candidates: Sequence[Candidate], budget: int) -> None:
    """Raise ConfigError where `budget` trainings are too few for the `candidates`, before anything is mined for them.

    One whose teacher is not configured is not tried, so it does not count.
    """
    plan_rounds(sum(_is_configured(candidate) for candidate in candidates), FOLDS * PASSES, budget)


def _is_configured(candidate: Candidate) -> bool:
    try:
        building.bind(candidate.config)
    except ConfigError:
        return False
    return True


def choose_recipe(
    config: BuildConfig,
    candidates: Candidates,
    refs: Mapping[Key, LedgerRefs],
    reasons: Mapping[Key, str],
    store: Store,
    *,
    kind: Kind = "adapter",
    budget: int = 0,
    seed: int = 0,
    tell: Step = lambda line: None,
) -> tuple[Candidate, TuneReport, dict[str, str]]:
    """Probe what each of `candidates` selects from its ledger in `refs`; give the choice, the report, what is left out.

    `reasons` say why a ledger is not there. Raises ConfigError where the first ledger, the configured one, is not.
    """
    first = ledger_key(candidates.tried[0])
    if first not in refs:
        raise ConfigError(reasons[first])
    snapshot = open_snapshot(store, refs[first].mining.snapshot)
    collection = open_collection(snapshot)
    encoder = refs[first].mining.encoder
    probe = open_probe(kind, snapshot, collection, encoder.content if encoder else "", store)
    folds = plan_tuning(collection, training_splits(config, collection), seed)
    there = [candidate for candidate in candidates.tried if ledger_key(candidate) in refs]
    sets, repeated = distinct_sets(there, _select(there, refs, collection, store, pool_of(folds), tell))
    report = tune(probe, collection, folds, sets, budget=budget, seed=seed, tell=tell)
    missing = [candidate for candidate in candidates.tried if ledger_key(candidate) not in refs]
    left_out = {
        **candidates.left_out,
        **repeated,
        **{candidate.name: reasons[ledger_key(candidate)] for candidate in missing},
        **dict.fromkeys(report.idle, "it gives no negatives to train on"),
    }
    return next(one for one in there if one.name == report.chosen), report, left_out


def _select(
    candidates: Sequence[Candidate],
    refs: Mapping[Key, LedgerRefs],
    collection: ProbeCollection,
    store: Store,
    rows: Rows,
    tell: Step,
) -> list[ProbeSet]:
    """Select by each recipe for the query `rows`; a ledger is merged once."""
    merged: dict[Key, MinedCandidates] = {}
    found = []
    for candidate in candidates:
        key = ledger_key(candidate)
        if key not in merged:
            merged[key] = read_ledger(candidate, refs[key], store, rows)
        found.append(select_set(candidate, merged[key], collection, store, rows))
        tell(f"selected {candidate.name}")
    return found
