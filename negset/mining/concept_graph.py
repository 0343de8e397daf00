"""Which rows contradict those chosen before them: the concept graph of PASER (arXiv 2502.12594).

A row links all its concepts with each other. One with two concepts that are both known by then and were never linked
says something that nothing before it said of them: it is inconsistent and leaves the graph as it is.
"""

from collections.abc import Sequence
from itertools import combinations


class ConceptGraph:
    """The concepts of the rows that were taken, and which of them stood together in one."""

    def __init__(self) -> None:
        self._linked: dict[str, set[str]] = {}

    def is_consistent(self, concepts: Sequence[str]) -> bool:
        """Tell whether each two of `concepts` that are known stood together before."""
        known = [concept for concept in concepts if concept in self._linked]
        return all(other in self._linked[one] for one, other in combinations(known, 2))

    def add(self, concepts: Sequence[str]) -> None:
        """Link `concepts` with each other."""
        for concept in concepts:
            self._linked.setdefault(concept, set()).update(concepts)
