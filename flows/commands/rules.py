"""`negset rules [NAME] [--recipes]`: what a recipe can be made of."""

import argparse
from collections.abc import Sequence

from negset.errors import UnknownRuleError
from negset.mining.recipe import Recipe, RuleCard, list_rules, load_recipe, shipped_recipes
from schemas.config import RecipeConfig


def run(options: argparse.Namespace) -> int:
    """List rules or recipes in a line each, or show the one that `options.name` names in full."""
    cards, recipes = list_rules(), [load_recipe(RecipeConfig(name=name)) for name in shipped_recipes()]
    if options.name:
        print(_found(options.name, cards, recipes))
    elif options.recipes:
        print("\n".join(f"{recipe.name:<12} {recipe.description}" for recipe in recipes))
    else:
        print("\n".join(f"{card.kind:<8} {card.name:<20} {card.summary}" for card in cards))
    return 0


def _found(name: str, cards: Sequence[RuleCard], recipes: Sequence[Recipe]) -> str:
    for card in cards:
        if card.name == name:
            lines = (f"  {option.name} = {option.default!r:<10} {option.description}" for option in card.options)
            return "\n".join([f"{card.name} ({card.kind}): {card.summary}", *lines])
    for recipe in recipes:
        if recipe.name == name:
            uses = (
                " ".join([use.name, *(f"{key}={value}" for key, value in use.options.items())]) for use in recipe.rules
            )
            return "\n".join(
                [f"{recipe.name}: {recipe.description}", f"  source: {recipe.source}", *(f"  {use}" for use in uses)]
            )
    raise UnknownRuleError.from_name(name, [*(card.name for card in cards), *(recipe.name for recipe in recipes)])
