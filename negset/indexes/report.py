"""Say of the indexes of a build what they are and what they find, for the manifest, the plan and the gate."""

from pydantic import BaseModel, ConfigDict

from negset.errors import ArtifactError
from negset.indexes.kind import EXACT
from negset.indexes.opened import listed_entries
from negset.indexes.preparing import KIND, RECALL, SAMPLE
from negset.store import Store
from schemas.manifest import Plain
from schemas.refs import IndexesRef


class IndexReport(BaseModel):
    """What was prepared and measured. Nothing here is a time: the same build gives the same report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """What `auto` stood for."""
    settings: str
    indexed: int
    """Partitions that have an index."""
    exact: int
    """Partitions that are searched exactly."""
    why_exact: str
    recall: float
    sample: int
    """Queries that the recall was measured on; 0 where all is exact and there is nothing to measure."""

    def facts(self) -> dict[str, Plain]:
        """Give the report as entries of the manifest."""
        return {
            "index_kind": self.kind,
            "index_settings": self.settings,
            "index_partitions": self.indexed,
            "exact_partitions": self.exact,
            "index_recall": self.recall,
            "index_recall_queries": self.sample,
        }


def read_report(store: Store, ref: IndexesRef) -> IndexReport:
    """Read what is kept of the indexes of `ref`."""
    facts = store.manifest(ref.kind, ref.fingerprint).facts
    entries = listed_entries(store, ref).values()
    used = [entry for entry in entries if entry.kind != EXACT]
    missing = [name for name in (KIND, RECALL, SAMPLE) if name not in facts]
    if missing:
        message = f"indexes {ref.fingerprint[:16]} in {store.root} lack {', '.join(missing)}. Delete them, build again"
        raise ArtifactError(message)
    return IndexReport(
        kind=str(facts[KIND]) if used else EXACT,
        settings="; ".join(sorted({str(entry.setting) for entry in used})),
        indexed=len(used),
        exact=len(entries) - len(used),
        why_exact="; ".join(sorted({entry.reason for entry in entries if entry.reason})),
        recall=float(str(facts[RECALL])),
        sample=int(str(facts[SAMPLE])) if used else 0,
    )
