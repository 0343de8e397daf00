"""What a set must satisfy before it is published, as options: the section `[gates]` of a build."""

from typing import Literal

from pydantic import Field

from schemas.section import Section

Policy = Literal["fail", "warn", "off"]
"""What a finding does: stop the publication, stand in the report, or not be looked for."""


class HubsConfig(Section):
    """Documents in far too many lists: poison, or an encoder that does not tell documents apart."""

    policy: Policy = "fail"
    depth: int = Field(10, ge=1)
    """Ranks of a list that count."""
    max_share: float = Field(0.02, gt=0, le=1)
    """Share of the lists that a document may stand in whatever the others do."""
    max_lift: float = Field(6.0, ge=1)
    """Times as many lists as the tenth largest hub that a document may be in; on 15 clean collections at most 4.7."""


class ContaminationConfig(Section):
    """Training rows that repeat what a model is evaluated on."""

    near: Literal["drop", "fail", "warn", "off"] = "warn"
    """A training query that nearly repeats an evaluation text: drop it as `near_leak`, fail the gate, or warn."""
    documents: Policy = "fail"
    """A document of the set that is an evaluation query, or a text of an evaluation file, once normalised."""
    near_documents: Policy = "warn"
    """A document of the set that nearly is one: a shared corpus often quotes queries."""
    words: int = Field(13, ge=3)
    """Words in a row that two texts must share to be called near."""
    similarity: float = Field(0.8, gt=0.5, le=1)
    """Jaccard similarity of three-word shingles from which two texts are called near."""


class ShortcutConfig(Section):
    """Whether negatives can be told from positives without reading the query."""

    policy: Policy = "fail"
    warn_above: float = Field(0.65, gt=0.5, le=1)
    fail_above: float = Field(0.80, gt=0.5, le=1)
    sample: int = Field(10_000, ge=100)
    """Documents of each kind that the classifier sees, at the most."""


class DriftConfig(Section):
    """How far a set may be from its previous version. The first version has none."""

    policy: Policy = "fail"
    max_shrink: float = Field(0.3, ge=0, le=1)
    """Share of the rows of a table, or of the corpus, that may be gone."""
    max_growth: float = Field(10.0, ge=1)
    """Times as many rows as before."""
    max_full_change: float = Field(0.2, ge=0, le=1)
    """Change of the share of wanted negatives that queries got."""
    max_score_shift: float = Field(0.5, ge=0)
    """Change of the mean score of negatives, in standard deviations of the previous scores."""
    max_rejected_change: float = Field(0.2, ge=0, le=1)
    """Change of the share of candidates that a rule rejects."""
    max_churn: float = Field(0.7, ge=0, le=1)
    """Mean share of a query's negatives that are others than before."""
    max_topic_share: float = Field(0.5, gt=0, le=1)
    """Share of the new queries that may share a word which is ten times rarer in the old ones."""


class PoisonConfig(Section):
    """Rows that somebody slipped in: one topic or one source with properties that the rest has not."""

    policy: Policy = "warn"
    source: str = ""
    """Column of the corpus that says where a document comes from; empty not to compare sources."""
    drop_lowest: float = Field(0.0, ge=0, lt=1)
    """Share of the labelled pairs of each source whose cosine is lowest: queries that have no other pair are left out
    as `low_quality`. 0 leaves out none."""
    property: str = ""
    """Column of the queries or of the corpus whose values should not go by topic, such as a sentiment or a label; empty
    not to compare topics."""


class GatesConfig(Section):
    """What a set must satisfy before it is published."""

    min_full_share: float = Field(0.25, ge=0, le=1)
    """Smallest share of the queries with candidates that must get all the negatives wanted."""
    query_leaks: Literal["drop", "fail"] = "drop"
    """A query whose normalised text stands in another split too: drop it with that reason, or fail the gate."""
    document_leaks: Literal["allow", "fail"] = "allow"
    """A positive document shared by queries of different splits: count it, or fail the gate."""
    min_index_recall: float = Field(0.95, ge=0, le=1)
    """Smallest measured share of the exact candidates that an index may find."""
    evaluation: tuple[str, ...] = Field((), json_schema_extra={"runtime": True})
    """Files of texts that a model will be evaluated on: .txt (a text a line), .jsonl or .parquet."""
    licences: tuple[str, ...] = ()
    """Licences that a set may have; empty for any. `unknown` allows a document without one."""
    licence_column: str = ""
    """Column of the corpus with the licence of each document; empty where there is none."""
    hubs: HubsConfig = HubsConfig()
    contamination: ContaminationConfig = ContaminationConfig()
    shortcut: ShortcutConfig = ShortcutConfig()
    poison: PoisonConfig = PoisonConfig()
    drift: DriftConfig = Field(DriftConfig(), json_schema_extra={"runtime": True})
    """In no fingerprint: what was published before must not name what is published now."""
