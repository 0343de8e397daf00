"""Licences: a set and the documents in it may have only those that were agreed to."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from negset.gates.verdict import verdict
from schemas.expectations import CheckResult
from schemas.gates import GatesConfig

UNKNOWN: Final = "unknown"
"""How a document, or a set, without a licence is called; it must be allowed by that name."""


def licence_checks(documents: pl.DataFrame, licence: str, config: GatesConfig) -> tuple[CheckResult, ...]:
    """Hold the set's `licence` and those of its `documents` (doc_id, licence) to `gates.licences`.

    Letter case and white space around a licence do not count. No check where any licence will do.
    """
    if not config.licences:
        return ()
    allowed = f"must be one of {', '.join(config.licences)}"
    own = pl.DataFrame({"licence": [folded(licence)]})
    checks = [
        verdict(
            "set_licence",
            "The set has a licence that is allowed",
            "fail",
            table="documents",
            found=refused(own, config.licences),
            scope="publish.licence",
            advice=f"publish.licence {allowed}",
        )
    ]
    if config.licence_column:
        checks.append(
            verdict(
                "documents_licence",
                "Each document has a licence that is allowed",
                "fail",
                table="documents",
                found=refused(documents, config.licences).sort("doc_id"),
                scope=f"{documents.height} documents by {config.licence_column}",
                advice=f"{config.licence_column} {allowed}: take these documents out, or allow their licence",
            )
        )
    return tuple(checks)


def refused(rows: pl.DataFrame, licences: Sequence[str]) -> pl.DataFrame:
    """Give those of `rows` whose `licence` is not among `licences`."""
    named = rows.with_columns(
        licence=pl.when(pl.col("licence").fill_null("").str.strip_chars() == "")
        .then(pl.lit(UNKNOWN))
        .otherwise(pl.col("licence").str.strip_chars())
    )
    allowed = pl.Series([folded(name) for name in licences], dtype=pl.String)
    return named.filter(~pl.col("licence").str.to_lowercase().is_in(allowed.implode()))


def folded(licence: str) -> str:
    """Give `licence` as it is compared."""
    return licence.strip().lower()
