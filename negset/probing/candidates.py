"""The recipes that tuning tries: the configured one, those that are shipped or named, and steps of their options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from negset.errors import ConfigError
from negset.mining.recipe import (
    UNSCORED_MINERS,
    BoundRecipe,
    Option,
    basis_miner,
    bind_recipe,
    load_recipe,
    recipe_fingerprint,
    shipped_recipes,
)
from schemas.config import BuildConfig, RecipeConfig

STEPS: Final[Mapping[str, Mapping[str, tuple[Option, ...]]]] = MappingProxyType(
    {
        "percent_of_positive": {"share": (0.99, 0.95, 0.9, 0.8)},
        "margin": {"margin": (0.0, 0.05, 0.1, 0.2)},
        "max_score": {"threshold": (0.4, 0.5, 0.6, 0.7, 0.8)},
        "rank_window": {"first": (6, 11, 31, 51)},
        "window": {"size": (10, 30, 50)},
        "softmax": {"temperature": (0.02, 0.05, 0.2)},
        "mixture": {"random_ratio": (0.25, 0.5, 0.75)},
        "simans": {"sharpness": (0.25, 0.5, 1.0, 2.0)},
        "denoise": {"threshold": (0.1, 0.3, 0.5)},
        "relabel_above_positive": {"least": (0.3, 0.7, 0.9)},
    }
)
"""Rule to option to the values that are tried, one option at a time, in every recipe that sets it and has the rule
once. Whatever is not here is tried as its recipe has it."""
COSTLY: Final = ("judge",)
"""Teachers that may cost money: tuning asks them only where the configured recipe does, or their recipe is named."""
CURRENT: Final = "as configured"
RANDOM: Final = "random"


@dataclass(frozen=True)
class Candidate:
    """A recipe to try, and the miners that it needs."""

    name: str
    config: BuildConfig
    bound: BoundRecipe


@dataclass(frozen=True)
class Candidates:
    """What is tried, the configured recipe first, and what cannot be: name to reason."""

    tried: tuple[Candidate, ...]
    left_out: Mapping[str, str]


def list_candidates(config: BuildConfig, recipes: Sequence[str] = ()) -> Candidates:
    """List the recipe of `config`, then `recipes` (names or files; empty: all shipped ones) and steps of their options.

    A recipe that needs random documents gets that miner beside the configured ones; one that needs no scores is
    tried with random documents alone too. Where several miners give scores, each recipe is also tried on what the one
    that it compares by proposes alone. Two names for the same rules are tried once. What the configured miners cannot
    feed is left out, with the reason. Raises ConfigError where the configured recipe is that, or an unknown
    name is given.
    """
    tried = [Candidate(CURRENT, config, _bind(config))]
    left_out: dict[str, str] = {}
    seen = {_same(tried[0])}
    for name in recipes or shipped_recipes():
        load_recipe(RecipeConfig(name=name))  # an unknown name is a mistake of the caller, not of the miners
        variants = _variants(config, name)
        for variant in [*variants, *_alone(variants[0])]:
            narrowed: dict[str, str] = {}  # that a recipe needs several miners is no news
            found = _fitting(variant, left_out if variant in variants else narrowed, config.mine.miners)
            asked = set(found.bound.teachers) - set(tried[0].bound.teachers) if found is not None else set()
            if found is not None and not recipes and asked & set(COSTLY):
                left_out[found.name] = f"it asks {', '.join(sorted(asked))}, which may cost money; name it in --recipes"
            elif found is not None and _same(found) not in seen:
                seen.add(_same(found))
                tried.append(found)
    return Candidates(tuple(tried), left_out)


def _variants(config: BuildConfig, name: str) -> list[BuildConfig]:
    """Give `config` under the recipe `name`, as it is and with each step of each of its options."""
    plain = RecipeConfig(name=name, negatives=config.recipe.negatives, by=config.recipe.by)
    found = [config.model_copy(update={"recipe": plain})]
    uses = load_recipe(plain).rules
    names = [use.name for use in uses]
    for use in uses:
        steps = STEPS.get(use.name, {}) if names.count(use.name) == 1 else {}
        for option, value in [(name, value) for name in steps if name in use.options for value in steps[name]]:
            changed = plain.model_copy(update={"options": {use.name: {option: value}}})
            found.append(config.model_copy(update={"recipe": changed}))
    if name == RANDOM:
        found.append(_with_miners(found[0], UNSCORED_MINERS))
    return found


def _alone(config: BuildConfig) -> list[BuildConfig]:
    """Give `config` with the one miner whose scores its recipe compares, where several give scores."""
    scoring = [miner for miner in config.mine.miners if miner not in UNSCORED_MINERS]
    basis = basis_miner(config.recipe.by, config.mine.miners)
    return [_with_miners(config, (basis,))] if len(scoring) > 1 and basis in scoring else []


def _with_miners(config: BuildConfig, miners: Sequence[str]) -> BuildConfig:
    # Validated anew, since a copy does not say what is wrong with its miners.
    mine = type(config.mine).model_validate({**config.mine.model_dump(), "miners": tuple(miners)})
    recipe = config.recipe.model_copy(update={"by": config.recipe.by if config.recipe.by in miners else ""})
    return config.model_copy(update={"mine": mine, "recipe": recipe})


def _fitting(config: BuildConfig, left_out: dict[str, str], configured: Sequence[str]) -> Candidate | None:
    """Bind `config`, with random documents too if it needs them; note in `left_out` why it cannot be."""
    name = recipe_label(config, configured)
    reasons = []
    for miners in (config.mine.miners, (*config.mine.miners, RANDOM)):
        attempt = _with_miners(config, tuple(dict.fromkeys(miners)))
        try:
            return Candidate(name, attempt, _bind(attempt))
        except ConfigError as error:
            reasons.append(str(error))
    left_out[name] = reasons[0]
    return None


def _bind(config: BuildConfig) -> BoundRecipe:
    return bind_recipe(load_recipe(config.recipe), config.mine.miners, config.seed)


def _same(candidate: Candidate) -> str:
    """Name what a candidate chooses: two with one name choose the same negatives."""
    return f"{','.join(candidate.config.mine.miners)} {recipe_fingerprint(candidate.bound)}"


def recipe_label(config: BuildConfig, configured: Sequence[str] = ()) -> str:
    """Name the recipe of `config` with the options that differ from its file's, and fewer miners than `configured`."""
    options = [f"{key}={value}" for given in config.recipe.options.values() for key, value in given.items()]
    miners = tuple(config.mine.miners)
    narrowed = [f"of {miners[0]} alone"] if set(miners) < set(configured) else []
    corpus = ["of the whole corpus"] if miners == UNSCORED_MINERS else narrowed
    return " ".join([config.recipe.name, *options, *corpus])
