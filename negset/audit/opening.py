"""Open the evidence of a build, and say which recipes are audited."""

from collections.abc import Sequence
from pathlib import Path

from negset import building
from negset.audit.evidence import Evidence, open_evidence
from negset.errors import ConfigError
from negset.mining.duplicates import open_duplicates
from negset.mining.recipe import BoundRecipe
from negset.store import Store
from negset.teaching.scoring import open_scores
from negset.teaching.teacher import find_teacher
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs

REFERENCE = "naive"
"""Recipe that is audited beside the configured one where none are named."""


def open_build_evidence(config: BuildConfig, refs: LedgerRefs, store: Store, by: str = "") -> Evidence:
    """Open what an audit of `config` reads, compared by the scores of the miner `by`, or by the recipe's."""
    return open_evidence(
        building.open_inputs(config, refs.mining, store),
        refs.cells,
        store,
        by or config.recipe.by,
        open_duplicates(store, refs.duplicates) if refs.duplicates else None,
        {teacher: open_scores(store, ref) for teacher, ref in refs.scores.items()},
        config.teach,
        drop_leaks=config.gates.query_leaks == "drop",
    )


def recipe_configs(config: BuildConfig, names: Sequence[str] = ()) -> list[BuildConfig]:
    """Give `config` under each recipe of `names`; without any, under its own and under the reference.

    All want as many negatives and compare by the same miner; options belong to the configured recipe alone.
    Raises ConfigError for a recipe that cannot be bound, and for two of one name.
    """
    wanted = building.bind(config).wanted
    chosen = list(names) or list(dict.fromkeys([config.recipe.name, REFERENCE]))
    stems = [Path(name).stem for name in chosen]
    if len(set(stems)) != len(stems):
        message = f"recipes are told apart by their names; these are {', '.join(stems)}"
        raise ConfigError(message)
    found = [_under(config, name, wanted) for name in chosen]
    for one in found:
        building.bind(one)
    return found


def _under(config: BuildConfig, name: str, wanted: int) -> BuildConfig:
    options = config.recipe.options if name in (config.recipe.name, Path(config.recipe.name).stem) else {}
    own = config.recipe.name if name == Path(config.recipe.name).stem else name
    recipe = config.recipe.model_copy(update={"name": own, "negatives": wanted, "options": options})
    return config.model_copy(update={"recipe": recipe})


def bind_all(configs: Sequence[BuildConfig]) -> list[BoundRecipe]:
    """Bind the recipe of each of `configs`."""
    return [building.bind(config) for config in configs]


def teacher_notes(refs: LedgerRefs) -> list[str]:
    """Name the teachers that may have learned from labels which the audit hides.

    These are all that do not score pair by pair, but the guide, an encoder that reads no labels.
    """
    return [
        f"the teacher {teacher} may have learned from labels that are hidden here: its rates may be too low"
        for teacher in refs.scores
        if teacher != building.GUIDE and not find_teacher(teacher).PER_PAIR
    ]
