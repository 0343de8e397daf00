"""An audit from end to end: hide, select, count, estimate."""

from collections.abc import Sequence

from negset.audit.estimates import RecipeAudit, estimate_recipe, positive_facts
from negset.audit.evidence import Evidence
from negset.audit.hiding import participation, plan_hiding
from negset.audit.outcomes import audit_recipes, proposers
from negset.errors import ConfigError
from negset.mining.recipe import BoundRecipe
from negset.progress import Progress, no_progress
from schemas.manifest import Record


class AuditOptions(Record):
    """How an audit is made.

    `hide` is the share of a query's positives that are unknown at a time, `repeats` how many parts are hidden (0: all
    in turn), `unlabelled` how many unlabelled positives are assumed for each known one.
    """

    hide: float = 0.2
    seed: int = 13
    repeats: int = 0
    unlabelled: float = 1.0


class AuditReport(Record):
    """What an audit found."""

    dataset: str
    by: str
    """Miner whose scores are compared."""
    options: AuditOptions
    queries: int
    queries_taking_part: int
    """Those with two positives or more; of a single one nothing can be hidden."""
    positives: int
    positives_hidden: int
    notes: tuple[str, ...]
    recipes: tuple[RecipeAudit, ...]


def run_audit(
    evidence: Evidence,
    recipes: Sequence[BoundRecipe],
    options: AuditOptions,
    dataset: str,
    notes: Sequence[str] = (),
    progress: Progress = no_progress,
) -> AuditReport:
    """Audit `recipes` over `evidence`. Raises ConfigError for options that mean nothing and recipes of one name."""
    names = [recipe.name for recipe in recipes]
    if len(set(names)) != len(names):
        message = f"recipes are told apart by their names; these are {', '.join(names)}"
        raise ConfigError(message)
    if options.unlabelled <= 0 or options.repeats < 0:
        message = f"unlabelled is {options.unlabelled}, repeats {options.repeats}: above 0, and 0 or more, are needed"
        raise ConfigError(message)
    plan = plan_hiding(evidence, options.hide, options.seed, options.repeats)
    facts = positive_facts(evidence, plan, proposers(evidence))
    outcomes = audit_recipes(evidence, recipes, plan, progress)
    return AuditReport(
        dataset=dataset,
        by=evidence.by,
        options=options,
        **participation(plan),
        notes=tuple(notes),
        recipes=tuple(estimate_recipe(found, evidence, facts, options.unlabelled) for found in outcomes),
    )
