"""`negset losses [NAME]`: what an encoder can be trained by."""

import argparse

from negset.errors import ConfigError, hint


def run(options: argparse.Namespace) -> int:
    """List the losses in a line each, or show the one that `options.name` names with its options."""
    # The losses import torch.
    from negset.training.loss_cards import LossCard, list_losses

    def lines(card: LossCard) -> str:
        needs = [f"  needs {key}" for key in card.needs]
        said = [f"  {option.name} = {option.default!r:<10} {option.description}" for option in card.options]
        gives = [f"  {line}" for line in card.gives.splitlines() if line]
        return "\n".join([f"{card.name}: {card.summary}", *gives, *needs, *said])

    cards = {card.name: card for card in list_losses()}
    if options.name:
        if options.name not in cards:
            message = f"there is no loss {options.name!r}{hint(options.name, cards)}; known: {', '.join(cards)}"
            raise ConfigError(message)
        print(lines(cards[options.name]))
        return 0
    wide = max(len(name) for name in cards)
    for card in cards.values():
        needs = f" (needs {', '.join(card.needs)})" if card.needs else ""
        print(f"{card.name:<{wide}} {card.summary}{needs}")
    return 0
