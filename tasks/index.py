"""Index the vectors of each corpus partition, where the configuration asks for more than exact search."""

from negset.building import open_inputs
from negset.indexes.preparing import prepare_indexes
from schemas.config import BuildConfig
from schemas.refs import IndexesRef, MiningRefs
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("index")
def index(config: BuildConfig, refs: MiningRefs, *, fingerprint: str) -> IndexesRef:
    """Build the indexes that are missing, tune them and measure what they find."""
    store = Place().open_store()
    with shown_progress("index") as progress:
        return prepare_indexes(open_inputs(config, refs, store), store, progress)
