"""Gather what an audit or a calibration reads: the rooms of a build up to the selection, for several recipes."""

from prefect import flow

from flows.build import gather_ledger
from negset.cleaning.uses import in_use
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs
from tasks.place import Place


@flow(name="gather")
def gather(configs: list[BuildConfig]) -> LedgerRefs:
    """Mine and teach what the recipes of `configs`, which differ in nothing else, choose from; all of it is cached."""
    store = Place().open_store()
    with in_use(store.root):
        found = [gather_ledger(config, store) for config in configs]
    return found[0].model_copy(
        update={
            "duplicates": next((refs.duplicates for refs in found if refs.duplicates), None),
            "guide": next((refs.guide for refs in found if refs.guide), None),
            "scores": {teacher: ref for refs in found for teacher, ref in refs.scores.items()},
        }
    )
