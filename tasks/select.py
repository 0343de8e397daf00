"""Choose negatives from the ledger and assemble the tables of the set."""

from negset import building
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs, SelectionRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("select")
def select(config: BuildConfig, refs: LedgerRefs, *, fingerprint: str) -> SelectionRef:
    """Apply the recipe of `config` to what was mined."""
    with shown_progress("select") as progress:
        return building.select(config, refs, Place().open_store(), progress)
