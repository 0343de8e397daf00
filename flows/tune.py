"""Make what tuning selects from: the ledger of every combination of miners and teachers that a recipe asks for."""

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.build import gather_ledger
from negset.errors import ConfigError
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs
from tasks.place import Place


class Mined(BaseModel):
    """What was mined under one configuration, or why it could not be."""

    model_config = ConfigDict(frozen=True)

    refs: LedgerRefs | None = None
    reason: str = ""


@flow(name="tune")
def mine_candidates(configs: list[BuildConfig]) -> list[Mined]:
    """Mine for each of `configs`; one whose teacher is not configured has a reason in place of a ledger.

    Raises ConfigError where the first, the configured one itself, is so.
    """
    store = Place().open_store()
    found = [Mined(refs=gather_ledger(configs[0], store))]
    for config in configs[1:]:
        try:
            found.append(Mined(refs=gather_ledger(config, store)))
        except ConfigError as error:
            found.append(Mined(reason=str(error)))
    return found
