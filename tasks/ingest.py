"""Read a source into a snapshot."""

from negset.snapshot import build_snapshot
from schemas.config import SourceConfig
from schemas.refs import SnapshotRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("ingest")
def ingest(source: SourceConfig, *, fingerprint: str) -> SnapshotRef:
    """Read `source`, whose files hash to `fingerprint`."""
    with shown_progress("ingest") as progress:
        return build_snapshot(source, Place().open_store(), progress)
