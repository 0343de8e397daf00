"""Worlds for the gates: clean ones, in which nothing is wrong, and what is planted in them."""

import random

import pytest

WORDS = [
    f"{first}{second}" for first in "ba ce di fo gu ha je ki lo mu".split() for second in "lar mek nos pin rut".split()
]


def sentence(draw: random.Random, words: int, vocabulary=WORDS) -> str:
    return " ".join(draw.choices(vocabulary, k=words))


@pytest.fixture(scope="session")
def write_sentence():
    """Give `sentence`: so many words drawn from a small vocabulary."""
    return sentence
