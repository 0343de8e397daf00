"""What a negative set must satisfy before it is published, as data.

Every expectation speaks of one table of the scalar view (`negset/publishing/scalar_view.py`), whose columns are
numbers and ids. A `no_rows` expectation holds where its SQL condition is true of no row; the condition may call
only columns of its table, so that each failing row names its key. Great Expectations runs them (`tasks/gates.py`).
"""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from schemas.gates import GatesConfig
from schemas.manifest import Plain, Record

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "queries": ("query_id",),
    "documents": ("doc_id",),
    "positives": ("query_id", "doc_id"),
    "false_negatives": ("query_id", "doc_id"),
    "negatives": ("query_id", "doc_id", "rank"),
    "fates": ("query_id",),
    "candidates": ("query_id",),
    "ntuples": ("split",),
}
"""Tables of the scalar view, and the columns that name a row of each in a report."""

KNOWN_IN_TIME: Final = "negatives_known_in_time"
"""The check that reads times, which the view of a set has only for its sake."""

Severity = Literal["critical", "warning"]


class Expectation(Record):
    """One promise about one table of the scalar view."""

    name: str
    description: str
    table: str
    kind: Literal["row_count", "in_set", "no_rows"]
    severity: Severity = "critical"
    minimum: int = 1
    """Fewest rows, for `row_count`."""
    column: str = ""
    """Column whose values must be among `values`, for `in_set`."""
    values: tuple[str, ...] = ()
    where: str = ""
    """SQL condition that must be true of no row, for `no_rows`."""


class ScoreLimit(Record):
    """A threshold that the recipe set for negatives, so that the gate can hold them to it again."""

    kind: Literal["max_score", "margin", "percent_of_positive"]
    value: float


class TimeLimit(Record):
    """What a query of the set may know: documents created until its `asked_at` and `grace` microseconds more."""

    grace: int
    undated: Literal["keep", "drop"]


class CheckResult(Record):
    """What one expectation said of a set."""

    name: str
    description: str
    table: str
    severity: Severity
    passed: bool
    unexpected: int
    rows: tuple[dict[str, Plain], ...] = ()
    """Keys of the first rows that broke it."""
    error: str = ""
    """Why the check could not be evaluated; empty where it was."""
    scope: str = ""
    """What was looked at: a split, a miner, a version; empty for the whole table."""
    value: float | None = None
    """What was measured, where the check measures something."""
    threshold: float | None = None
    """What `value` is held against."""
    advice: str = ""
    """What to do, where the check did not pass."""


class GateReport(Record):
    """What all gates said. `evaluated` below `expected` is a failure: an unknown check must not pass silently."""

    expected: int
    evaluated: int
    checks: tuple[CheckResult, ...]
    drift: tuple[CheckResult, ...] = ()
    """What a comparison with the previous version said: it can stop a set, but is no part of what identifies it."""
    files: dict[str, str] = Field(default_factory=dict)
    """Path to sha256 of every file that was checked: what is published must be these bytes."""

    @property
    def everything(self) -> tuple[CheckResult, ...]:
        """The checks of the set itself, then those against its previous version."""
        return self.checks + self.drift

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The critical checks that did not pass."""
        return tuple(check for check in self.everything if not check.passed and check.severity == "critical")

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """The checks that only warn and did not pass."""
        return tuple(check for check in self.everything if not check.passed and check.severity == "warning")

    @property
    def passed(self) -> bool:
        """Whether every check was evaluated and none that is critical failed."""
        return self.evaluated == self.expected and not self.failed


def _never(table: str, name: str, description: str, where: str, severity: Severity = "critical") -> Expectation:
    return Expectation(name=name, description=description, table=table, kind="no_rows", where=where, severity=severity)


def _null(*columns: str) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns)


ROW_COUNTS: Final = tuple(
    Expectation(name=f"{table}_present", description=f"The {table} table has rows", table=table, kind="row_count")
    for table in KEYS
    if table != "false_negatives"
)

QUERIES: Final = (
    _never("queries", "queries_key_unique", "Each query is there once", "copies > 1"),
    _never(
        "queries", "queries_no_null", "A query has an id, a text and a split", _null("query_id", "text_length", "split")
    ),
    _never("queries", "queries_as_read", "A query's text is the snapshot's", "same_text = 0"),
    _never("queries", "queries_have_fate", "A published query was kept or is short", "published_fate = 0"),
    _never("queries", "queries_have_positive", "A published query has a positive", "positives = 0"),
    _never(
        "queries", "queries_no_split_leak", "No query's text stands in two splits", "splits_of_text > 1 OR held_out = 1"
    ),
)
DOCUMENTS: Final = (
    _never("documents", "documents_key_unique", "Each document is there once", "copies > 1"),
    _never("documents", "documents_no_null", "A document has an id and a text", _null("doc_id", "text_length")),
    _never("documents", "documents_not_empty", "A document's text or title has characters", "text_length = 0"),
    _never("documents", "documents_as_read", "A document's text is the snapshot's", "same_text = 0"),
)
POSITIVES: Final = (
    _never("positives", "positives_key_unique", "Each pair of query and positive is there once", "copies > 1"),
    _never(
        "positives",
        "positives_no_null",
        "A positive has its ids, relevance and split",
        _null("query_id", "doc_id", "relevance", "split"),
    ),
    _never("positives", "positives_query_resolves", "A positive's query is published", "query_known = 0"),
    _never("positives", "positives_document_resolves", "A positive's document is published", "doc_known = 0"),
    _never(
        "positives",
        "positives_judged",
        "The qrels say that a labelled positive is one",
        "source = 'labelled' AND judged = 0",
    ),
    _never("positives", "positives_finite", "A positive's score is a finite number or unknown", "finite = 0"),
)
FALSE_NEGATIVES: Final = (
    _never("false_negatives", "false_negatives_key_unique", "Each pair to mask is there once", "copies > 1"),
    _never(
        "false_negatives", "false_negatives_query_resolves", "A pair to mask is of a published query", "query_known = 0"
    ),
    _never("false_negatives", "false_negatives_document_resolves", "A document to mask is published", "doc_known = 0"),
    _never(
        "false_negatives", "false_negatives_no_negative", "No pair to mask is a negative of the set", "negative = 1"
    ),
)
NEGATIVES: Final = (
    _never("negatives", "negatives_key_unique", "A query has one negative at each rank", "rank_copies > 1"),
    _never("negatives", "negatives_document_once", "A query has a document once among its negatives", "doc_copies > 1"),
    _never(
        "negatives",
        "negatives_no_null",
        "A negative has its ids, rank, miner, weight, source and split",
        _null("query_id", "doc_id", "rank", "miner", "source", "split") + " OR weight_null = 1",
    ),
    _never("negatives", "negatives_query_resolves", "A negative's query is published", "query_known = 0"),
    _never("negatives", "negatives_document_resolves", "A negative's document is published", "doc_known = 0"),
    _never("negatives", "negatives_finite", "A negative's scores and weight are finite numbers", "finite = 0"),
    _never("negatives", "negatives_weight", "A negative's weight is not below zero", "weight < 0"),
    _never(
        "negatives",
        "negatives_no_known_positive",
        "No negative is a known positive of its query or of a query with the same text",
        "known_positive = 1",
    ),
    _never(
        "negatives",
        "negatives_no_positive_text",
        "No negative has the text of a known positive of its query",
        "positive_text = 1",
    ),
    _never("negatives", "negatives_not_the_query", "No negative's text is its query's", "query_text = 1"),
    _never(
        "negatives",
        "negatives_ordered",
        "A query's negatives are ranked by falling score, those without a score last",
        "score > previous_score OR (score IS NOT NULL AND after_unscored = 1)",
    ),
    _never("negatives", "negatives_split", "A negative is in its query's split", "split_matches = 0"),
    Expectation(
        name="negatives_source",
        description="A negative is mined, random, generated or judged",
        table="negatives",
        kind="in_set",
        column="source",
        values=("mined", "random", "generated", "judged"),
    ),
)
FATES: Final = (
    _never("fates", "fates_key_unique", "A query has one fate", "copies > 1"),
    _never("fates", "fates_query_resolves", "Each fate is of a query that was asked for negatives", "query_known = 0"),
    _never("fates", "fates_complete", "Each query that was asked for negatives has a fate", "fate IS NULL"),
    _never(
        "fates",
        "fates_published",
        "A query that was kept or is short is published",
        "fate <> 'dropped' AND published = 0",
    ),
    _never(
        "fates",
        "fates_consistent",
        "Kept means all that were wanted, short means some, dropped means none and a reason",
        "NOT ((fate = 'kept' AND got = wanted) OR (fate = 'short' AND got > 0 AND got < wanted)"
        " OR (fate = 'dropped' AND got = 0 AND reason IS NOT NULL))",
    ),
    _never("fates", "fates_sum_negatives", "A query got as many negatives as are published", "got <> negatives"),
    _never(
        "fates",
        "fates_sum_candidates",
        "A query had as many candidates as are in the ledger",
        "candidates <> candidate_rows",
    ),
    _never(
        "fates",
        "fates_ranks",
        "A query's ranks run from 1 without holes",
        "negatives > 0 AND (lowest_rank <> 1 OR highest_rank <> ranks)",
    ),
)
CANDIDATES: Final = (
    _never("candidates", "candidates_key_unique", "A query has a candidate once", "candidate_rows <> documents"),
    _never("candidates", "candidates_finite", "Scores of candidates are finite numbers or unknown", "not_finite > 0"),
    _never(
        "candidates",
        "candidates_chosen_unfit",
        "No candidate was chosen that a rule rejected or that is a positive",
        "chosen_unfit > 0",
    ),
    _never(
        "candidates",
        "candidates_chosen_published",
        "As many candidates were chosen as are published",
        "chosen <> negatives",
    ),
)
NTUPLES: Final = (
    _never(
        "ntuples",
        "ntuples_complete",
        "The flat view has a row for each full query and positive",
        "rows <> expected_rows",
    ),
)

_LIMIT_SQL: Final = {
    "max_score": "score <= {value!r} + {slack}",
    "margin": "score <= positive_score - {value!r} + {slack}",
    "percent_of_positive": "score <= positive_score - ABS(positive_score) * (1 - {value!r}) + {slack}",
}
_LIMIT_TEXT: Final = {
    "max_score": "No negative scores above {value:g}",
    "margin": "No negative scores within {value:g} of its query's positive",
    "percent_of_positive": "No negative scores above {value:.4g} of its query's positive",
}
_SLACK: Final = "2e-6 * MAX(1, ABS(score))"
"""The rules' own slack and as much again: published scores are float32 of what the rules compared."""


def set_expectations(
    config: GatesConfig, limits: Sequence[ScoreLimit], time: TimeLimit | None = None
) -> tuple[Expectation, ...]:
    """Give all that a set built under `config` must satisfy; negatives are held to the recipe's `limits`.

    A negative without the scores that a limit compares breaks it, as it does in the rules. With `time`, so does one
    that its query could not know.
    """
    fixed = (*ROW_COUNTS, *QUERIES, *DOCUMENTS, *POSITIVES, *FALSE_NEGATIVES, *NEGATIVES, *FATES, *CANDIDATES, *NTUPLES)
    limited = tuple(
        _never(
            "negatives",
            f"negatives_{limit.kind}",
            _LIMIT_TEXT[limit.kind].format(value=limit.value),
            f"COALESCE({_LIMIT_SQL[limit.kind].format(value=limit.value, slack=_SLACK)}, 0) = 0",
        )
        for limit in limits
    )
    timed = () if time is None else (_known_in_time(time),)
    return (*fixed, *limited, *timed, _quota(config.min_full_share), _document_leaks(config))


def _known_in_time(time: TimeLimit) -> Expectation:
    undated = " OR (asked_at IS NOT NULL AND created_at IS NULL)" if time.undated == "drop" else ""
    return _never(
        "negatives",
        KNOWN_IN_TIME,
        "No negative was created after its query was asked, but for the grace",
        f"created_at > asked_at + {time.grace}{undated}",
    )


def _quota(share: float) -> Expectation:
    return _never(
        "fates",
        "fates_quota",
        f"At least {share:.4g} of the queries with candidates got all negatives wanted",
        f"candidates > 0 AND fate <> 'kept' AND full_share < {share!r}",
    )


def _document_leaks(config: GatesConfig) -> Expectation:
    return _never(
        "positives",
        "positives_no_split_leak",
        "No positive's text is a positive in two splits",
        "splits_of_text > 1",
        "critical" if config.document_leaks == "fail" else "warning",
    )
