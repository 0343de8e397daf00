"""The report of a finished run, from its files and the snapshot: no model is needed, and nothing is trained."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from negset.evaluation import MEASURES
from negset.probing.bootstrap import Difference, Interval, measure_changes
from negset.store import write_durably
from negset.training.reports.changed_queries import ChangedQuery, most_changed
from negset.training.reports.domain_gate import DomainVerdict, check_domains
from negset.training.reports.groups import (
    QueryGroup,
    domain_groups,
    length_groups,
    positive_lengths,
    query_domains,
    query_lengths,
)
from negset.training.reports.imbalance import DomainShare, domain_shares
from negset.training.reports.pair_losses import EpochLosses, FlaggedPair, epoch_losses, flagged_pairs
from negset.training.reports.regressions import SEED, GroupChange, compare_groups, regressions
from negset.training.reports.run_files import RunRecords, read_records
from schemas.run_report import RunReportConfig
from schemas.train import TrainConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

REPORT: Final = "report.json"
PAGE: Final = "report.html"
EXAMPLES: Final = 6
"""Queries shown that gained most, and as many that lost most."""


@dataclass(frozen=True)
class MeasureChange:
    """A measure over all held-out queries; `change` is after less before, paired by query."""

    measure: str
    before: Interval
    after: Interval
    change: Difference


@dataclass(frozen=True)
class RunReport:
    """Everything that is said of a run. `verdict` is None where no domain field is named.

    `epochs` and `flagged` are empty where the trainer kept no losses of pairs.
    """

    records: RunRecords
    measures: tuple[MeasureChange, ...]
    groups: tuple[GroupChange, ...]
    verdict: DomainVerdict | None
    shares: tuple[DomainShare, ...]
    epochs: tuple[EpochLosses, ...]
    flagged: tuple[FlaggedPair, ...]
    gained: tuple[ChangedQuery, ...]
    lost: tuple[ChangedQuery, ...]

    def numbers(self) -> dict[str, object]:
        """Give what is written to report.json."""
        return {
            "measures": {
                one.measure: {
                    "before": asdict(one.before),
                    "after": asdict(one.after),
                    "change": {**asdict(one.change), "real": one.change.real},
                }
                for one in self.measures
            },
            "groups": [one.numbers() for one in self.groups],
            "regressions": [{"kind": one.kind, "name": one.name} for one in regressions(self.groups)],
            "domains": None if self.verdict is None else self.verdict.numbers(),
            "training_by_domain": [one.numbers() for one in self.shares],
            "pair_losses": [one.numbers() for one in self.epochs],
            "flagged_pairs": [asdict(one) for one in self.flagged],
            "gained": [one.query_id for one in self.gained],
            "lost": [one.query_id for one in self.lost],
        }


def report_run(folder: Path, snapshot: "Snapshot", config: TrainConfig) -> RunReport:
    """Report the finished run in `folder`, which was trained by `config` on a set of `snapshot`.

    Raises ConfigError for a domain field or a waived domain that does not exist.
    """
    records, options = read_records(folder), config.report
    per_query = records.per_query
    held_out = per_query.select("query_id")
    queries = snapshot.queries().join(held_out, on="query_id", how="semi", maintain_order="left")
    positives = snapshot.qrels().filter(pl.col("relevance") >= 1).join(held_out, on="query_id", how="semi")
    domains = query_domains(snapshot.queries(), options.domain_field) if options.domain_field else None
    groups = _groups(queries, positives, snapshot, domains, options)
    changes = compare_groups(per_query, groups)
    gained, lost = most_changed(per_query, records.rankings, positives, EXAMPLES)
    stats = records.pair_stats
    return RunReport(
        records=records,
        measures=tuple(_measures(per_query)),
        groups=tuple(changes),
        verdict=check_domains([one for one in changes if one.kind == "domain"], options)
        if domains is not None
        else None,
        shares=tuple(domain_shares(records.trained, domains, stats)) if domains is not None else (),
        epochs=() if stats is None else tuple(epoch_losses(stats)),
        flagged=() if stats is None else tuple(flagged_pairs(stats)),
        gained=tuple(gained),
        lost=tuple(lost),
    )


def write_report_numbers(report: RunReport, folder: Path) -> None:
    """Write report.json to the `folder` of the run."""
    write_durably(folder / REPORT, f"{json.dumps(report.numbers(), indent=2)}\n".encode())


def _groups(
    queries: pl.DataFrame,
    positives: pl.DataFrame,
    snapshot: "Snapshot",
    domains: pl.DataFrame | None,
    options: RunReportConfig,
) -> list[QueryGroup]:
    named = [] if domains is None else domain_groups(domains, queries.get_column("query_id"))
    by_query = length_groups(query_lengths(queries), "query length", options.length_bins)
    lengths = positive_lengths(positives, snapshot.documents())
    return [*named, *by_query, *length_groups(lengths, "positive length", options.length_bins)]


def _measures(per_query: pl.DataFrame) -> list[MeasureChange]:
    pairs = [
        (per_query.get_column(f"{name}_before").to_numpy(), per_query.get_column(f"{name}_after").to_numpy())
        for name in MEASURES
    ]
    return [
        MeasureChange(name, one.before, one.after, one.change)
        for name, one in zip(MEASURES, measure_changes(pairs, SEED), strict=True)
    ]
