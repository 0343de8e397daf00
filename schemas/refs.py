"""References: what tasks exchange in place of tables.

A reference names an artifact of the store. `fingerprint` is where it lies (a hash of all that went in);
`content` is a hash of the rows themselves, which later fingerprints are built from, so that a source whose
rows were only shuffled leads to the same set.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Ref(BaseModel):
    """Name an artifact: its kind, where it lies, what it holds, how many rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str] = ""
    fingerprint: str
    content: str
    rows: int


class SnapshotRef(Ref):
    """Canonical corpus, queries and qrels."""

    kind: ClassVar[str] = "snapshot"


class EncoderRef(Ref):
    """An encoder that is ready to encode: fitted, or its weights fingerprinted. `content` is its fingerprint."""

    kind: ClassVar[str] = "encoder"


class VectorsRef(Ref):
    """One vector per distinct text of one role of a snapshot."""

    kind: ClassVar[str] = "vectors"


class EmbedPlanRef(Ref):
    """Which texts of one role of a snapshot have no vector yet, in the order of their shards; `rows` counts them."""

    kind: ClassVar[str] = "embed_plan"


class TermCountsRef(Ref):
    """How often each term stands in each document of one corpus partition."""

    kind: ClassVar[str] = "term_counts"


class StatisticsRef(Ref):
    """Corpus-wide term statistics that lexical search needs."""

    kind: ClassVar[str] = "statistics"


class IndexRef(Ref):
    """An approximate index of the vectors of one corpus partition; `rows` are its documents."""

    kind: ClassVar[str] = "index"


class IndexesRef(Ref):
    """The indexes of all partitions of a snapshot, and how each is searched; `rows` are the documents in them."""

    kind: ClassVar[str] = "indexes"


class IndexChoiceRef(Ref):
    """Which kind of index was measured to be the cheapest."""

    kind: ClassVar[str] = "index_choice"


class DuplicatesRef(Ref):
    """Which documents of a snapshot are near-duplicates of each other."""

    kind: ClassVar[str] = "duplicates"


class MembersRef(Ref):
    """What the documents of a partition are, as digests: what a later build compares its own with."""

    kind: ClassVar[str] = "members"


class CellRef(Ref):
    """One cell of the ledger: what one miner proposes for a block of queries in one corpus partition."""

    kind: ClassVar[str] = "cell"


class CellsRef(Ref):
    """A batch of ledger cells of one miner."""

    kind: ClassVar[str] = "cells"


class PairScoresRef(Ref):
    """Scores of some pairs of texts by one teacher, kept for every later build."""

    kind: ClassVar[str] = "pair_scores"


class ScoresRef(Ref):
    """What one teacher gives the candidates and positives of a ledger; `rows` are the pairs it scored."""

    kind: ClassVar[str] = "scores"


class SelectionRef(Ref):
    """The tables of a negative set, chosen but not yet checked or published."""

    kind: ClassVar[str] = "selection"


class SelectionPartRef(Ref):
    """What was selected for some consecutive queries; `rows` are the negatives."""

    kind: ClassVar[str] = "selection_part"


class ReportRef(Ref):
    """What the gates said of a selection. Exists only where all of them passed."""

    kind: ClassVar[str] = "report"


class NegativeSetRef(Ref):
    """A published version of a negative set; `fingerprint` is its version id, `path` its folder."""

    kind: ClassVar[str] = "negative_set"
    path: str


class BatchPlanRef(Ref):
    """Which queries share a batch in each epoch; `rows` are the visits of all epochs."""

    kind: ClassVar[str] = "batch_plan"


class CheckpointRef(Ref):
    """A trained encoder and what it measures; `path` is the folder of its run, `rows` the queries trained on."""

    kind: ClassVar[str] = "checkpoint"
    path: str


class StartRef(Ref):
    """The model that rounds start from; `path` is its folder."""

    kind: ClassVar[str] = "start"
    path: str


class SurveyRef(Ref):
    """The best documents of each labelled query by one encoder's vectors; `rows` are the queries."""

    kind: ClassVar[str] = "survey"


class MiningRefs(BaseModel):
    """Everything that the miners of one build read. What a configured miner does not need is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: SnapshotRef
    encoder: EncoderRef | None = None
    query_vectors: VectorsRef | None = None
    document_vectors: VectorsRef | None = None
    statistics: StatisticsRef | None = None
    indexes: IndexesRef | None = None


class GuideRefs(BaseModel):
    """The vectors of a guide, a second encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderRef
    query_vectors: VectorsRef
    document_vectors: VectorsRef


class LedgerRefs(BaseModel):
    """Everything that a selection reads: what was mined, from what, and which documents are near-duplicates.

    `scores` are those of the teachers that the recipe asks for, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mining: MiningRefs
    cells: dict[str, CellsRef]
    duplicates: DuplicatesRef | None = None
    guide: GuideRefs | None = None
    scores: dict[str, ScoresRef] = {}
