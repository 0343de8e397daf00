"""What is recorded of a batch plan, beside its tables."""

from pydantic import BaseModel, ConfigDict, Field

from schemas.manifest import Plain
from schemas.section import Section


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EpochCounts(Record):
    """What an epoch of a plan has. Pairs are unordered pairs of queries that share a batch."""

    epoch: int
    stage: str = ""
    batches: int
    visits: int
    queries: int
    """Queries that are visited, each counted once."""
    smallest: int
    largest: int
    pairs: int
    same_group: int | None
    """Of `pairs`, those of one group; None for a plan without groups."""
    by_chance: float | None
    """Share of one group that the same visits would have in a random order."""
    in_batch_off: int
    """Batches in which only a query's own negatives count."""
    masked_known: int
    """Pairs of a query and a document of its batch that is another known positive of it."""
    masked_suspects: int
    """Pairs that the plan takes for false negatives."""
    notes: dict[str, int] = {}


class PlanManifest(Record):
    """Everything that identifies a batch plan, and what it came to."""

    strategy: str
    version: int
    options: dict[str, Plain]
    seed: int
    batch_size: int
    in_batch: bool
    split: str
    dataset: str
    set_version: str
    read: dict[str, str] = {}
    """What the plan read beside the set's tables, by content."""
    queries: int
    left_out: dict[str, int] = {}
    """Queries of the split that no training run on the set could use, by reason."""
    never_visited: int
    visits_per_query: tuple[float, float, float]
    """The least, the mean and the most visits of a query in an epoch, over all epochs."""
    older_versions: tuple[str, ...] = ()
    """Versions whose negatives are among the plan's."""
    epochs: tuple[EpochCounts, ...]


class PlanRequest(Section):
    """Which plan to make of a set, and for what run: all that its rows depend on beside the set."""

    plan: str
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    seed: int = 13
    batch_size: int = Field(128, ge=2)
    epochs: int = Field(5, ge=1)
    in_batch: bool = True
    negatives: int = Field(0, ge=0)
    split: str = "train"
    held_out: str = "test"
