"""A row is inconsistent where two concepts that are known were never linked, and then links nothing."""

from negset.mining.concept_graph import ConceptGraph


def taken(*rows):
    graph = ConceptGraph()
    found = []
    for concepts in rows:
        found.append(graph.is_consistent(concepts))
        if found[-1]:
            graph.add(concepts)
    return found


def test_two_known_concepts_that_never_met_are_a_contradiction():
    assert taken(["a", "b"], ["c", "d"], ["a", "c"]) == [True, True, False]


def test_what_is_new_contradicts_nothing():
    """The wrong version asks that all concepts be linked: then no row after the first could bring anything new."""
    assert taken(["a", "b"], ["a", "c"], ["d"]) == [True, True, True]


def test_known_together_is_not_enough_by_way_of_another():
    """a-b and b-c do not link a and c."""
    assert taken(["a", "b"], ["b", "c"], ["a", "c"], ["a", "b"]) == [True, True, False, True]


def test_a_row_that_is_skipped_links_nothing():
    """The wrong version adds its edges all the same, and the next row like it passes."""
    assert taken(["a"], ["b"], ["a", "b"], ["a", "b"]) == [True, True, False, False]


def test_three_concepts_are_linked_with_each_other():
    assert taken(["a", "b", "c"], ["a", "c"], ["b", "c"], []) == [True] * 4
