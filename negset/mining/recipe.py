"""Recipes: ordered lists of rules with options, read from TOML and bound to what a build can give.

A rule that reads the score of a teacher makes the build ask that teacher; miners must be configured.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from negset.errors import ConfigError, IncompatibleRuleError, hint
from negset.fingerprint import fingerprint
from negset.mining.rules import ChanceParams, Params, Rule, SamplerParams, find_rule, rules
from negset.teaching.teacher import teacher_summary, teachers
from schemas.config import RecipeConfig
from schemas.section import Section
from schemas.teach import TeachConfig

Option = str | int | float | bool
MANDATORY = ("known_positive", "own_text")
"""Rules that come first in every recipe, whether it names them or not."""
TEACHER = "teacher"
"""What a rule of a recipe says in place of the name of a teacher that the configuration may change."""
FACTS = ("is_positive", "is_own_text", "judged", "near_group", "near_positive")
"""Columns of the candidates that are there whatever mines."""
UNSCORED_MINERS = ("random",)
"""Miners whose candidates have no score of their own."""


class RuleUse(BaseModel):
    """A rule's name and the options that a recipe gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, Option] = {}


class Recipe(BaseModel):
    """An ordered list of rules, the last one a sampler. `by` is the miner whose scores they compare."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    source: str = ""
    by: str = ""
    rules: tuple[RuleUse, ...]


@dataclass(frozen=True)
class BoundRule:
    """A rule with the options it runs under."""

    rule: Rule
    params: Params


@dataclass(frozen=True)
class BoundRecipe:
    """A recipe whose rules exist, whose options are valid and whose columns the build provides."""

    name: str
    by: str
    rules: tuple[BoundRule, ...]

    @property
    def wanted(self) -> int:
        """Negatives wanted for each query."""
        params = self.rules[-1].params
        return params.k if isinstance(params, SamplerParams) else 0

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of the teachers whose scores some rule reads, sorted."""
        read = {column for step in self.rules for column in step.rule.columns(step.params)}
        return tuple(name for name in teachers() if {f"score_{name}", f"positive_score_{name}"} & read)

    @property
    def suspects(self) -> tuple[str, ...]:
        """Names of the rules that reject what may be relevant."""
        return tuple(step.rule.name for step in self.rules if step.rule.suspects)

    def reads(self, column: str) -> bool:
        """Tell whether a rule reads `column`."""
        return any(column in bound.rule.columns(bound.params) for bound in self.rules)


@dataclass(frozen=True)
class OptionCard:
    """What `negset rules` says of an option."""

    name: str
    default: Option
    description: str


@dataclass(frozen=True)
class RuleCard:
    """What `negset rules` says of a rule or a teacher."""

    name: str
    kind: str
    summary: str
    options: tuple[OptionCard, ...]


def list_rules() -> list[RuleCard]:
    """Describe every rule: its name, kind, summary line, and options but the build's seed."""
    return [RuleCard(found.name, found.kind, _summary(found), _options(found)) for found in rules().values()]


def list_teachers() -> list[RuleCard]:
    """Describe every teacher: its name, summary line and options, those of its section `[teach.NAME]`."""
    return [RuleCard(name, "teacher", teacher_summary(name), _section_options(name)) for name in teachers()]


def _section_options(teacher: str) -> tuple[OptionCard, ...]:
    section: Section = getattr(TeachConfig(), teacher)
    return tuple(
        OptionCard(name, _plain(field.default, name), field.description or "")
        for name, field in type(section).model_fields.items()
    )


def _plain(default: object, name: str) -> Option:
    """Give `default`; a section in a section is shown by its name, as it stands in a build file."""
    return default if isinstance(default, str | int | float | bool) else f"[{name}]"


def _summary(found: Rule) -> str:
    return (found.apply.__doc__ or "").strip().splitlines()[0]


def _options(found: Rule) -> tuple[OptionCard, ...]:
    fields = found.params.model_fields.items()
    return tuple(OptionCard(name, field.default, field.description or "") for name, field in fields if name != "seed")


def shipped_recipes() -> list[str]:
    """List the names of the recipes that come with negset."""
    files = resources.files("negset.mining.recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(config: RecipeConfig) -> Recipe:
    """Read the recipe that `config` names, shipped or a TOML file, and put its options and `negatives` in.

    A rule with `by = "teacher"` compares the scores of `config.teacher`, else of the teacher that the recipe names.
    Raises ConfigError for a file that cannot be read and for any name in it that means nothing.
    """
    text = _recipe_text(config.name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"recipe {config.name!r} is no TOML: {error}"
        raise ConfigError(message) from error
    _check_keys(config.name, table)
    uses = tuple(_read_use(config.name, entry) for entry in table["rules"])
    uses = _ask(config, str(table.get("teacher", "")), uses)
    uses = _override(config.name, uses, config.options)
    if config.negatives:
        uses = _want(config.name, uses, config.negatives)
    about = {key: str(table.get(key, "")) for key in ("description", "source")}
    return Recipe(name=Path(config.name).stem, by=config.by, rules=uses, **about)


def _ask(config: RecipeConfig, usual: str, uses: tuple[RuleUse, ...]) -> tuple[RuleUse, ...]:
    """Put the teacher's name where a rule says `teacher`."""
    asking = [use.name for use in uses if use.options.get("by") == TEACHER]
    if not asking:
        if config.teacher:
            message = f"recipe {config.name!r} asks no teacher, so recipe.teacher = {config.teacher!r} has no effect"
            raise ConfigError(message)
        return uses
    teacher = config.teacher or usual
    known = teachers()
    if teacher not in known:
        message = f"recipe {config.name!r}: no teacher {teacher!r}{hint(teacher, known)}; there are {', '.join(known)}"
        raise ConfigError(message)
    return tuple(
        RuleUse(name=use.name, options={**use.options, "by": teacher}) if use.name in asking else use for use in uses
    )


def _recipe_text(name: str) -> str:
    if name.endswith(".toml") or "/" in name:
        try:
            return Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"cannot read recipe file {name}: {error}"
            raise ConfigError(message) from error
    known = shipped_recipes()
    if name not in known:
        message = f"unknown recipe {name!r}{hint(name, known)}; shipped: {', '.join(known)}; or give a path"
        raise ConfigError(message)
    return (resources.files("negset.mining.recipes") / f"{name}.toml").read_text(encoding="utf-8")


def _check_keys(name: str, table: Mapping[str, object]) -> None:
    known = ("description", "source", "teacher", "rules")
    for key in table:
        if key not in known:
            message = f"recipe {name!r}: unknown key {key!r}{hint(key, known)}; a recipe has {', '.join(known)}"
            raise ConfigError(message)
    entries = table.get("rules")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        message = f"recipe {name!r} has no rules: give each as a [[rules]] table with a name"
        raise ConfigError(message)


def _read_use(recipe: str, entry: Mapping[str, Option]) -> RuleUse:
    if not isinstance(entry.get("name"), str):
        message = f"recipe {recipe!r}: a [[rules]] table lacks its name; it has {', '.join(entry) or 'nothing'}"
        raise ConfigError(message)
    options = {key: value for key, value in entry.items() if key != "name"}
    return RuleUse(name=find_rule(str(entry["name"])).name, options=options)


def _override(
    recipe: str, uses: tuple[RuleUse, ...], options: Mapping[str, Mapping[str, Option]]
) -> tuple[RuleUse, ...]:
    names = [use.name for use in uses]
    for name in options:
        if names.count(name) != 1:
            why = "has it more than once; change the recipe's file" if name in names else f"has {', '.join(names)}"
            message = f"options for rule {name!r}{hint(name, names)}: recipe {recipe!r} {why}"
            raise ConfigError(message)
    return tuple(RuleUse(name=use.name, options={**use.options, **options.get(use.name, {})}) for use in uses)


def _want(recipe: str, uses: tuple[RuleUse, ...], negatives: int) -> tuple[RuleUse, ...]:
    """Set the number of negatives of the sampler, the last of `uses`."""
    last = uses[-1]
    if find_rule(last.name).kind != "sampler":
        raise _no_sampler(recipe, [use.name for use in uses])
    return (*uses[:-1], RuleUse(name=last.name, options={**last.options, "k": negatives}))


def bind_recipe(recipe: Recipe, miners: Sequence[str], seed: int) -> BoundRecipe:
    """Check each rule of `recipe` against its params and against what `miners` provide, and give it `seed`.

    The mandatory rules are put first where they are lacking. Raises ConfigError for a wrong option or a
    sampler that is not the one last rule, IncompatibleRuleError naming the miner or scorer to add.
    """
    by = basis_miner(recipe.by, miners)
    present = {use.name for use in recipe.rules}
    missing = tuple(RuleUse(name=name) for name in MANDATORY if name not in present)
    bound = tuple(_bind_rule(recipe.name, use, seed) for use in (*missing, *recipe.rules))
    _check_sampler(recipe.name, bound)
    _check_columns(recipe.name, bound, miners, by)
    return BoundRecipe(recipe.name, by, bound)


def basis_miner(by: str, miners: Sequence[str]) -> str:
    """Give the miner whose scores a recipe compares: `by`, else the first of `miners` that gives scores."""
    if by and by not in miners:
        message = f"recipe.by is {by!r}{hint(by, miners)}, which is not in mine.miners: {', '.join(miners)}"
        raise ConfigError(message)
    scoring = [miner for miner in miners if miner not in UNSCORED_MINERS]
    return by or (scoring or list(miners))[0]


def _bind_rule(recipe: str, use: RuleUse, seed: int) -> BoundRule:
    found = find_rule(use.name)
    where = f"recipe {recipe!r}, rule {use.name!r}"
    known = [name for name in found.params.model_fields if name != "seed"]
    for option in use.options:
        if option not in known:
            message = f"{where}: unknown option {option!r}{hint(option, known)}; it takes {', '.join(known) or 'none'}"
            raise ConfigError(message)
    given = {"seed": seed} if issubclass(found.params, ChanceParams) else {}
    try:
        return BoundRule(found, found.params.model_validate({**use.options, **given}))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        message = f"{where}: option {option} is {first['input']!r}: {first['msg']}"
        raise ConfigError(message) from error


def _check_sampler(recipe: str, bound: Sequence[BoundRule]) -> None:
    kinds = [step.rule.kind for step in bound]
    if kinds.count("sampler") != 1 or kinds[-1] != "sampler":
        raise _no_sampler(recipe, [step.rule.name for step in bound])


def _no_sampler(recipe: str, names: Iterable[str]) -> ConfigError:
    known = [found.name for found in rules().values() if found.kind == "sampler"]
    return ConfigError(
        f"recipe {recipe!r} must end in its one sampler (one of {', '.join(known)}); its rules are {', '.join(names)}"
    )


def _check_columns(recipe: str, bound: Sequence[BoundRule], miners: Sequence[str], by: str) -> None:
    provided = {*FACTS, *(column for miner in miners for column in _miner_columns(miner))}
    provided |= {column for name in teachers() for column in (f"score_{name}", f"positive_score_{name}")}
    if by not in UNSCORED_MINERS:
        provided |= {"score", "positive_score"}
    provided.add("rank")
    for step in bound:
        for need in step.rule.columns(step.params):
            if need not in provided:
                message = (
                    f"recipe {recipe!r}, rule {step.rule.name!r} needs column {need!r}, which miners "
                    f"{', '.join(miners)} do not give; {_remedy(need)}"
                )
                raise IncompatibleRuleError(message)
        if step.rule.kind == "scorer":
            provided |= {f"score_{step.rule.name}", f"positive_score_{step.rule.name}"}


def _miner_columns(miner: str) -> tuple[str, ...]:
    if miner in UNSCORED_MINERS:
        return (f"rank_{miner}",)
    return (f"rank_{miner}", f"score_{miner}", f"positive_score_{miner}")


def _remedy(column: str) -> str:
    """Say what provides `column`."""
    if column in ("score", "positive_score"):
        return "add a miner that gives scores (dense, bm25, run, geo) to mine.miners"
    provider = column.removeprefix("positive_").removeprefix("score_").removeprefix("rank_")
    if provider in rules():
        return f"put the scorer {provider!r} before it"
    return f"add {provider!r} to mine.miners"


def recipe_fingerprint(recipe: BoundRecipe) -> str:
    """Hash what `recipe` computes: its basis, and each rule's name, version and options, defaults written out."""
    return fingerprint("recipe", recipe.by, [(step.rule.name, step.rule.version, step.params) for step in recipe.rules])
