"""Choose negatives from the ledger and assemble the tables of the set."""

from negset import selecting
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs, SelectionPartRef, SelectionRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("select")
def select(config: BuildConfig, refs: LedgerRefs, parts: list[SelectionPartRef], *, fingerprint: str) -> SelectionRef:
    """Apply the recipe of `config` to what was mined, or put together the `parts` of that."""
    with shown_progress("select") as progress:
        return selecting.select(config, refs, Place().open_store(), progress, parts)
