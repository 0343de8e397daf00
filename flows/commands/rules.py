"""`negset rules [NAME] [--recipes] [--teachers]`: what a recipe can be made of."""

import argparse
from collections.abc import Sequence

from negset.errors import UnknownRuleError
from negset.mining.recipe import Recipe, RuleCard, list_rules, list_teachers, load_recipe, shipped_recipes
from schemas.config import RecipeConfig


def run(options: argparse.Namespace) -> int:
    """List rules and teachers or recipes in a line each, or show all that `options.name` names in full."""
    taught = list_teachers()
    cards, recipes = [*list_rules(), *taught], [load_recipe(RecipeConfig(name=name)) for name in shipped_recipes()]
    if options.name:
        print(_found(options.name, cards, recipes))
    elif options.recipes:
        wide = max(len(recipe.name) for recipe in recipes)
        print("\n".join(f"{recipe.name:<{wide}} {recipe.description}" for recipe in recipes))
    else:
        cards = taught if options.teachers else cards
        wide = max(len(card.name) for card in cards)
        print("\n".join(f"{card.kind:<8} {card.name:<{wide}} {card.summary}" for card in cards))
    return 0


def _found(name: str, cards: Sequence[RuleCard], recipes: Sequence[Recipe]) -> str:
    found = [_rule_lines(card) for card in cards if card.name == name]
    found += [_recipe_lines(recipe) for recipe in recipes if recipe.name == name]
    if not found:
        raise UnknownRuleError.from_name(name, [*(card.name for card in cards), *(recipe.name for recipe in recipes)])
    return "\n\n".join(found)


def _rule_lines(card: RuleCard) -> str:
    lines = [f"  {option.name} = {option.default!r:<10} {option.description}" for option in card.options]
    if card.kind == "teacher":
        lines.append(f"  as options of [{'teach.votes' if card.name == 'vote_agreement' else f'teach.{card.name}'}]")
    return "\n".join([f"{card.name} ({card.kind}): {card.summary}", *lines])


def _recipe_lines(recipe: Recipe) -> str:
    uses = (" ".join([use.name, *(f"{key}={value}" for key, value in use.options.items())]) for use in recipe.rules)
    head = f"{recipe.name} (recipe): {recipe.description}"
    return "\n".join([head, f"  source: {recipe.source}", *(f"  {use}" for use in uses)])
