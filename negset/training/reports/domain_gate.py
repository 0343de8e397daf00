"""The gate on negative transfer: no domain may fall by more than is allowed, whatever the mean over domains did."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import polars as pl

from negset.errors import ConfigError, hint, listed
from negset.training.reports.groups import query_domains
from negset.training.reports.regressions import GroupChange
from schemas.run_report import RunReportConfig

MOST_DOMAINS: Final = 200
_ROUNDING = 1e-9
"""A fall of .01 that is computed as .0100000000000000009 is no more than .01."""


@dataclass(frozen=True)
class DomainFall:
    """A domain that fell by more than its `limit`."""

    name: str
    queries: int
    drop: float
    limit: float
    waived: bool


@dataclass(frozen=True)
class DomainVerdict:
    """Means over domains, each counting the same, and the domains that fell too far. The means decide nothing."""

    macro_before: float
    macro_after: float
    falls: tuple[DomainFall, ...]

    @property
    def passed(self) -> bool:
        """Say whether every fall is waived."""
        return all(fall.waived for fall in self.falls)

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values."""
        return {**asdict(self), "passed": self.passed}


def require_domains(queries: pl.DataFrame, split: str, config: RunReportConfig) -> None:
    """Raise ConfigError where the domain field, or a waived domain of the held-out `split`, does not exist.

    Also where there are more than `MOST_DOMAINS`: an id is no domain. Asked before training, so that a misspelt name
    costs nothing.
    """
    if config.domain_field:
        held_out = queries.filter(pl.col("split") == split)
        names = query_domains(held_out, config.domain_field).get_column("domain").unique().sort()
        if len(names) > MOST_DOMAINS:
            message = (
                f"report.domain_field = {config.domain_field!r} has {len(names)} values, more than {MOST_DOMAINS}: "
                "name a field that says of what kind a query is, not which"
            )
            raise ConfigError(message)
        _require_waived(config.waived_domains, names.to_list())
    elif config.waived_domains:
        message = f"report.waived_domains is {list(config.waived_domains)}, but no report.domain_field names domains"
        raise ConfigError(message)


def _require_waived(waived: Sequence[str], names: Sequence[str]) -> None:
    for name in waived:
        if name not in names:
            message = (
                f"report.waived_domains names {name!r}, which no held-out query has{hint(name, names)}; "
                f"there are: {listed(names)}"
            )
            raise ConfigError(message)


def check_domains(domains: Sequence[GroupChange], config: RunReportConfig) -> DomainVerdict:
    """Tell which of `domains` fell by more than `config` allows, worst first.

    The fall that was measured counts, not the end of its interval: on few queries the limit is wider instead.
    Raises ConfigError for a waived domain that does not exist.
    """
    _require_waived(config.waived_domains, [domain.name for domain in domains])
    falls = [_fall(domain, config) for domain in domains]
    return DomainVerdict(
        float(np.mean([domain.before.mean for domain in domains])),
        float(np.mean([domain.after.mean for domain in domains])),
        tuple(sorted((fall for fall in falls if fall), key=lambda fall: (-fall.drop, fall.name))),
    )


def _fall(domain: GroupChange, config: RunReportConfig) -> DomainFall | None:
    small = domain.queries < config.small_domain
    limit = config.max_small_domain_drop if small else config.max_domain_drop
    drop = domain.before.mean - domain.after.mean
    if drop <= limit + _ROUNDING:
        return None
    return DomainFall(domain.name, domain.queries, drop, limit, domain.name in config.waived_domains)


def describe_falls(verdict: DomainVerdict) -> str:
    """Name the domains that fell too far and are not waived, with their limits."""
    return ", ".join(
        f"{fall.name} by {fall.drop:.4f} (at most {fall.limit:g} is allowed, {fall.queries:,} queries)"
        for fall in verdict.falls
        if not fall.waived
    )
