"""Configuration of a build: one section per room, unknown keys are errors.

A field marked `runtime` changes how fast rows are made, never which: it is in no fingerprint. One marked `neutral`
came later and does nothing by default: it is in a fingerprint only where it is set, so that older ones stay.
Places (store, sets, servers, credentials) are not here; they come from the environment.
"""

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from schemas.encoder import EncoderConfig
from schemas.gates import GatesConfig
from schemas.partitions import PartitionsConfig, SliceConfig
from schemas.runner import RunnerConfig
from schemas.section import Section
from schemas.teach import TeachConfig


def last_moment(value: object) -> object:
    """Write a date or time as one ISO time in UTC: a bare date is the last microsecond of that day.

    What has no zone is taken as UTC; an empty text stays empty.
    """
    if isinstance(value, str) and value:
        value = _date_or_time(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.max)
    if isinstance(value, datetime):
        zoned = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return zoned.isoformat(timespec="microseconds")
    return value


def _date_or_time(text: str) -> date:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    message = "no ISO date or time, such as 2024-06-30 or 2024-06-30T12:00:00Z"
    raise ValueError(message)


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Moment = Annotated[str, BeforeValidator(last_moment)]


class ColumnsConfig(Section):
    """Which columns of a table hold what. An empty name means that the table has no such column."""

    doc_id: str = "doc_id"
    doc_text: str = "text"
    doc_title: str = "title"
    created_at: str = "created_at"
    version_at: str = ""
    """When a document was as its row says, in a source with several dated rows for a document (`source.versions`)."""
    query_id: str = "query_id"
    query_text: str = "text"
    asked_at: str = "asked_at"
    split: str = "split"
    relevance: str = "relevance"
    judged_at: str = "judged_at"
    """When a judgement was made; without it, it is known as soon as its query and document are."""
    positive: str = "positive"
    """Text of the positive, in a source of pairs."""
    citing_id: str = "citing_id"
    cited_id: str = "cited_id"
    """Who cites whom, in a source of citations."""


class SourceConfig(Section):
    """Where corpus, queries and qrels come from.

    `path` is a folder or file, local or any URL that fsspec knows. `corpus`, `queries` and `qrels` name files
    below it where they are not where the format usually has them; `qrels` may be several files, separated by commas.
    """

    format: Literal[
        "parquet",
        "jsonl",
        "beir",
        "huggingface",
        "msmarco",
        "smart",
        "trec",
        "stackexchange",
        "pairs",
        "docstrings",
        "citations",
    ]
    path: str = ""
    corpus: str = ""
    queries: str = ""
    qrels: str = ""
    columns: ColumnsConfig = ColumnsConfig()
    revision: str = ""
    """Commit of a dataset read by name."""
    split: str = "train"
    """Split given to rows of a source that knows no splits."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share of the queries, by hash of their normalised text, that become the split `test`; in a source of citations
    share of the connected components, by hash of their smallest id."""
    min_cocitations: int = Field(1, ge=1)
    """Documents that must cite two documents together for these to be positives, in a source of citations."""
    max_citations: int = Field(100, ge=2)
    """A document that cites more than this pairs nothing (a review cites much that has little in common)."""
    id_width: int = Field(0, ge=0)
    """Pad the number at the end of a document id with zeros to this width (TREC qrels often do not)."""
    max_bad_share: float = Field(0.001, ge=0, le=1)
    max_bad_rows: int = Field(1000, ge=0)
    as_of: Moment = ""
    """Build from what was known then: documents created, queries asked and judgements made at this time or before.

    A date or a time in UTC; a bare date means the end of that day. A query without `asked_at` is always known. What
    is left out is counted in the manifest. Empty for all that the source holds.
    """
    undated: Literal["keep", "drop", "fail"] = "fail"
    """Under `as_of`, a document without a date: known at all times, left out, or an error."""
    versions: Literal["dumps", "changes"] = "dumps"
    """What `columns.version_at` dates: whole dumps, of which the newest is the corpus, or changes of single documents,
    of which the newest of each counts. Under `as_of`, the newest that was known then. A document without
    `created_at` was created at the first of its versions.
    """
    licences: tuple[str, ...] = ()
    """Licences of the documents that are read; empty for any. Others are left out and counted, with their judgements;
    `unknown` allows a document without one. To stop instead of leaving out: `gates.licences`.
    """
    licence_column: str = ""
    """Column of the corpus with the licence of each document."""
    partition_by: str = Field("hash", pattern=r"^(hash|created_at|column:.+)$", json_schema_extra={"runtime": True})
    """What cuts the corpus into parts: the hash of doc_id, the date of creation, or another column (`column:NAME`).

    Changes memory and parallel work and what a new document makes mine again, never a row.
    """
    partition_every: Literal["year", "month", "week", "day", "hour"] = Field(
        "month", json_schema_extra={"runtime": True}
    )
    """How much time one part holds with `partition_by = "created_at"`; undated documents have a part of their own."""
    partitions: int = Field(1, ge=1, le=9999, json_schema_extra={"runtime": True})
    """Parts with `partition_by = "hash"`. Stored with the snapshot: growth does not change it."""
    slice: SliceConfig = Field(SliceConfig(), json_schema_extra={"neutral": True})
    """Rows of one partition of the dataset alone; the section `partitions` sets it."""

    @model_validator(mode="after")
    def _licences_have_a_column(self) -> Self:
        if self.licences and not self.licence_column:
            message = "licences are named, but not licence_column, the column that says which a document has"
            raise ValueError(message)
        return self


IndexKind = Literal["exact", "ivf-flat", "hnsw", "ivf-pq", "sq-fp16", "sq-int8", "auto"]


class DenseConfig(Section):
    """Nearest neighbours by cosine of the encoder's vectors: all of them, or most of them by an index."""

    backend: Literal["auto", "cpu", "faiss", "torch"] = Field("auto", json_schema_extra={"runtime": True})
    """Where exact search scores pairs first: the processor, faiss, or torch on its devices; the hits are the same."""
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", json_schema_extra={"runtime": True})
    """What the processor multiplies in first; what that leaves open is scored again, so the hits are the same."""
    index: IndexKind = "exact"
    """Kind of index for each partition of the corpus; `auto` measures which is cheapest, exact search among them."""
    target_recall: float = Field(0.95, gt=0, le=1)
    """Share of the exact candidates that an index must find; it searches as hard as a sample of queries needs."""
    nprobe: int = Field(0, ge=0)
    """Lists searched for a query by `ivf-flat`, `ivf-pq` and `sq-*`; 0 finds it for `target_recall`."""
    ef_search: int = Field(0, ge=0)
    """Documents that a walk of `hnsw` keeps in view; 0 finds it for `target_recall`."""
    refine_factor: int = Field(0, ge=0)
    """Documents that `ivf-pq` scores by their true vectors, in multiples of the depth; 0 finds it."""


class Bm25Config(Section):
    """Lexical search: Lucene's BM25."""

    k1: float = Field(0.9, ge=0)
    b: float = Field(0.4, ge=0, le=1)
    stemmer: str = "english"
    """A Snowball stemmer's name; empty for none."""
    stopwords: str = "en"
    """A stop word list of bm25s; empty for none."""
    pin: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$")] = ""
    """Empty: term statistics are those of the documents of each build, so that a changed document changes every
    score a little and all cells are mined again. A label: those first counted under it for this `name` stay until
    another label is given, so that a changed document touches its own partition alone."""


class RandomConfig(Section):
    """Documents drawn uniformly from the corpus, without replacement."""

    depth: int = Field(50, ge=1)


class RunConfig(Section):
    """Somebody else's run: a TREC run file or a Parquet of query_id, doc_id, score."""

    path: str = ""


class GeoConfig(Section):
    """The documents that are nearest in space, by coordinates in degrees that queries and documents have."""

    latitude: str = "latitude"
    """Column of the corpus and of the queries with the latitude, from -90 to 90."""
    longitude: str = "longitude"
    """Column of both with the longitude, from -180 to 180."""
    min_km: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Nothing nearer than so many kilometres is proposed."""
    max_km: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Nothing farther than so many kilometres is proposed; 0 for no limit."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if 0 < self.max_km < self.min_km:
            message = f"max_km {self.max_km:g} is below min_km {self.min_km:g}"
            raise ValueError(message)
        return self


class RelationConfig(Section):
    """What a directed relation rules out, where queries are documents: labels read backwards, and siblings."""

    reverse: bool = True
    """Propose the documents that, as queries, have the query's document as a positive."""
    siblings: bool = True
    """Propose the documents that, as queries, share a positive with the query."""
    by: Literal["id", "text"] = "id"
    """What says which document a query is: the same id, or its text as the document's text or title."""
    max_siblings: int = Field(100, ge=1)
    """Siblings of a query by one shared positive; with more, those that follow it in the order of ids."""


class TimeConfig(Section):
    """What a query may know: with `limit`, documents created when it was asked (`asked_at`) or before.

    A query without `asked_at` sees every document.
    """

    limit: bool = False
    grace: Annotated[str, StringConstraints(pattern=r"^[0-9]+[smhdw]$")] = "0s"
    """How much later than `asked_at` a document may have been created: a number and s, m, h, d or w."""
    undated: Literal["keep", "drop"] = "keep"
    """A document without `created_at`: known at all times, or to no query that has an `asked_at`."""


class MineConfig(Section):
    """Which miners propose candidates, and how many for each query."""

    miners: tuple[Literal["dense", "bm25", "random", "run", "geo", "relation"], ...] = Field(("dense",), min_length=1)
    depth: int = Field(100, ge=1)
    """Ranks kept for each query and miner, on top of one for each of its positives."""
    splits: tuple[str, ...] = ()
    """Splits whose queries get negatives; empty for all."""
    unlabelled: bool = False
    """Mine queries without a positive too, for a labeller of the recipe to find one; else they are dropped."""
    query_block: int = Field(4096, ge=1, json_schema_extra={"runtime": True})
    """Queries in a row of the mining matrix, at the most: fewer where the memory asks for it."""
    time: TimeConfig = TimeConfig()
    dense: DenseConfig = DenseConfig()
    bm25: Bm25Config = Bm25Config()
    random: RandomConfig = RandomConfig()
    run: RunConfig = RunConfig()
    geo: GeoConfig = GeoConfig()
    relation: RelationConfig = RelationConfig()


class RecipeConfig(Section):
    """Which rules choose among the candidates: a shipped recipe or a TOML file, and changes to its options."""

    name: str = "perc-pos"
    """Name of a shipped recipe, or path of a recipe file."""
    negatives: int = Field(0, ge=0)
    """Negatives wanted for each query; 0 takes the recipe's own number."""
    by: str = ""
    """Miner whose scores the rules compare; empty for the first that gives scores."""
    teacher: str = ""
    """Teacher whose scores the rules compare that say `by = "teacher"`; empty for the recipe's own."""
    options: dict[str, dict[str, str | int | float | bool]] = Field(default_factory=dict)
    """Rule name to the options that differ from the recipe's."""
    query_budget: int = Field(0, ge=0)
    """Queries that get negatives, at the most; 0 for all. They are clustered by their vectors, and a cluster gets the
    more the worse the recipe's miner ranks its positives (1 - 1 / rank), as do the queries in it."""
    query_clusters: int = Field(10, ge=1)
    """Clusters (k-means) among which a budget is shared."""
    query_need: Literal["rank", "margin_drop", "divergence"] = "rank"
    """What a budget goes by: the rank of the positives, how much smaller their margin is than by `query_reference`, or
    the Jensen-Shannon divergence of both sets of scores."""
    query_reference: str = ""
    """Miner or teacher with whose scores `margin_drop` and `divergence` compare, such as a guide of an earlier
    checkpoint; the build must have its scores."""
    query_cost: Literal["none", "length"] = "none"
    """Whether a query that is costlier to train on is taken later: need / log(words of query and positive, squared)."""
    query_conflicts: Literal["keep", "skip"] = "keep"
    """Whether a budget skips queries whose key phrases contradict those taken before: two that were met, but never
    together."""
    pair_stats: str = ""
    """Parquet of query_id, positive_id, epoch, loss of a training run: queries all of whose positives had persistently
    huge losses are dropped, and those with bad pairs weigh less."""


class PublishConfig(Section):
    """What is handed over beside the tables."""

    keep_candidates: bool = True
    licence: str = ""
    description: str = ""
    contract: bool = Field(default=False, json_schema_extra={"neutral": True})
    """Write the set's data contract, contract.odcs.yaml, into each version."""


class ResourcesConfig(Section):
    """What a build may take of the machine. Changes how the work is cut, never a row."""

    memory: Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?(KB|MB|GB|TB))?$")] = Field(
        "", json_schema_extra={"runtime": True}
    )
    """Memory of mining, such as `4GB`; empty for half of what the machine, container or process has. With a runner,
    what one task may take: empty for an equal share of that half, and needed for a cluster with an address."""


class BuildConfig(Section):
    """One negative set."""

    name: Slug
    seed: int = 13
    source: SourceConfig
    encoder: EncoderConfig = EncoderConfig()
    mine: MineConfig = MineConfig()
    teach: TeachConfig = TeachConfig()
    recipe: RecipeConfig = RecipeConfig()
    gates: GatesConfig = GatesConfig()
    publish: PublishConfig = PublishConfig()
    resources: ResourcesConfig = ResourcesConfig()
    runner: RunnerConfig = Field(RunnerConfig(), json_schema_extra={"runtime": True})
    """Who works on the parts of a step: it changes no row."""
    partitions: PartitionsConfig = Field(PartitionsConfig(), json_schema_extra={"runtime": True})
    """Which partitions the dataset has: that there are others changes no row of one."""
    partition: str = Field("", json_schema_extra={"neutral": True})
    """The partition that this build is for; commands set it."""

    @property
    def set_name(self) -> str:
        """The name of the published set, and its folder: that of the dataset, or `<name>/<partition>`."""
        return f"{self.name}/{self.partition}" if self.partition else self.name
