"""What is recorded of a published negative set. Nothing here is volatile: a rebuild gives the same bytes.

Times, hosts, run ids and the parent version are in `bag-info.txt` and `history.jsonl`, never here.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

FORMAT_VERSION: Final = 1
"""Version of the manifest and of the folder's layout; the tables have their own (`SCHEMA_VERSION`)."""

Plain = str | int | float | bool | None


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataFile(Record):
    """One Parquet file of a set: its bytes (`sha256`) and its rows whatever their bytes (`rows_sha256`)."""

    path: str
    table: str
    split: str | None = None
    """Split whose rows the file holds; None where it holds those of all."""
    bytes: int
    rows: int
    sha256: str
    rows_sha256: str


class QueryFunnel(Record):
    """Where every query of the snapshot ended."""

    total: int
    kept: int
    short: int
    dropped: dict[str, int]
    """Reason to number of queries."""


class CandidateFunnel(Record):
    """Where every mined candidate ended; the parts add up to `mined`."""

    mined: int
    positives: int
    rejected: dict[str, int]
    """Rule to number of candidates, known positives left out."""
    not_sampled: int
    chosen: int


class SetCounts(Record):
    """What assembling the tables of a set counted."""

    negatives_wanted: int
    rows: dict[str, int]
    rows_by_split: dict[str, dict[str, int]]
    queries: QueryFunnel
    candidates: CandidateFunnel
    queries_without_tuple: int
    """Published queries left out of the flat view for having fewer negatives than wanted."""


class Builder(Record):
    """What made the set: package version, and the version of each room and rule that took part."""

    package: str
    version: str
    rooms: dict[str, int] = {}
    rules: dict[str, int] = {}


class SourceIdentity(Record):
    """What was read, by content: the same rows under another path are the same source."""

    format: str
    content: str
    counts: dict[str, int]
    quarantined: dict[str, int] = {}
    """Reason to number of rows that could not be read."""


class EncoderIdentity(Record):
    """What turned texts into vectors."""

    backend: str
    fingerprint: str
    facts: dict[str, Plain] = {}


class RuleIdentity(Record):
    """A rule of the recipe with all of its options written out."""

    rule: str
    version: int
    options: dict[str, Plain]


class RecipeIdentity(Record):
    """The recipe in its canonical form."""

    name: str
    fingerprint: str
    by: str
    """Miner whose scores the rules compare."""
    seed: int
    rules: tuple[RuleIdentity, ...]


class RoundIdentity(Record):
    """Which round of which loop a set is, counted from 1, and what mined it."""

    loop: str
    """Fingerprint of the loop: its build, training and rounds."""
    strategy: str
    round: int
    checkpoint: str
    """Digest of the trained model that mined the set; empty for the encoder that the build configures."""
    parent: str | None
    """Version of the round before; None in the first."""


class SetFacts(Record):
    """What the publisher is told of a set, beside its tables."""

    dataset: str
    licence: str
    description: str
    builder: Builder
    config: dict[str, object]
    source: SourceIdentity
    encoder: EncoderIdentity | None
    miners: dict[str, dict[str, Plain]]
    """Miner to its options and measured facts."""
    teachers: dict[str, dict[str, Plain]] = {}
    """Teacher to the digest of the scores that it gave; its options are in `config`."""
    recipe: RecipeIdentity
    round: RoundIdentity | None = None
    """None for a set that is none of several rounds; it is not written then, so that such sets keep their ids."""

    @model_serializer(mode="wrap")
    def _without_round(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        written: dict[str, object] = handler(self)
        return {name: value for name, value in written.items() if name != "round" or value is not None}


class CheckOutcome(Record):
    """What a gate said: whether it passed and how many rows broke it."""

    name: str
    severity: Literal["critical", "warning"]
    passed: bool
    unexpected: int


class ValidationOutcome(Record):
    """What all gates said."""

    expected: int
    evaluated: int
    checks: tuple[CheckOutcome, ...]


class SetManifest(SetFacts):
    """Everything that identifies a version of a negative set. Its presence means that the version is whole."""

    format_version: int = FORMAT_VERSION
    schema_version: str
    counts: SetCounts
    files: tuple[DataFile, ...]
    validation: ValidationOutcome
