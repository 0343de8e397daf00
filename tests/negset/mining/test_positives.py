from negset.mining.positives import (
    doc_ids,
    judged_negatives,
    known_positives,
    labelled_positives,
    own_texts,
)

DOCUMENTS = {"d0": "tin", "d1": "lead", "d2": " TIN ", "d3": "iron", "d4": "iron ore"}
QUERIES = {"q0": "metal that melts", "q1": "grey", "q2": "Metal  that melts", "q3": "iron"}


def rows(frame):
    return frame.rows()


def test_labels_are_row_numbers_with_the_highest_relevance_of_all_splits(memory_snapshot):
    labels = [("q0", "d1", 1, "train"), ("q0", "d1", 3, "test"), ("q1", "d0", 0), ("q1", "d3", -1), ("q1", "d4", 2)]
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, labels, partitions=3)
    assert rows(labelled_positives(snapshot)) == [(0, 1, 3), (1, 4, 2)]
    assert rows(judged_negatives(snapshot)) == [(1, 0), (1, 3)]


def test_a_pair_judged_both_ways_is_a_positive(memory_snapshot):
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, [("q0", "d1", 0, "train"), ("q0", "d1", 1, "test")])
    assert rows(labelled_positives(snapshot)) == [(0, 1, 1)]
    assert rows(judged_negatives(snapshot)) == []


def test_one_text_under_two_ids_shares_its_positives(memory_snapshot):
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, [("q0", "d1", 1), ("q2", "d3", 1), ("q1", "d4", 1)])
    assert rows(known_positives(snapshot)) == [(0, 1), (0, 3), (1, 4), (2, 1), (2, 3)]


def test_twins_of_a_positive_are_positives(memory_snapshot):
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, [("q1", "d0", 1)], partitions=2)
    assert rows(known_positives(snapshot)) == [(1, 0), (1, 2)]


def test_a_title_is_part_of_what_twins_share(memory_snapshot):
    snapshot = memory_snapshot(
        {"d0": "tin", "d1": "tin", "d2": "tin"},
        QUERIES,
        [("q1", "d0", 1)],
        titles={"d0": "Metals", "d1": "metals", "d2": "Cans"},
    )
    assert rows(known_positives(snapshot)) == [(1, 0), (1, 1)]


def test_twins_and_shared_texts_add_up(memory_snapshot):
    # q0 and q2 are one text; d0 and d2 are one text: both queries have both documents.
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, [("q2", "d2", 1)])
    assert rows(known_positives(snapshot)) == [(0, 0), (0, 2), (2, 0), (2, 2)]


def test_a_query_that_is_a_document_is_found(memory_snapshot):
    assert rows(own_texts(memory_snapshot(DOCUMENTS, QUERIES, []))) == [(3, 3)]


def test_a_question_under_its_own_title_is_the_query_itself(memory_snapshot):
    """A forum's question is often a document too: its body alone, or title and body, hide whose it is."""
    titles = {"d1": "METAL that  melts", "d4": "iron"}
    found = rows(own_texts(memory_snapshot(DOCUMENTS, QUERIES, [], partitions=2, titles=titles)))
    assert found == [(0, 1), (2, 1), (3, 3), (3, 4)]


def test_ids_come_in_the_order_of_the_rows_of_all_documents(memory_snapshot):
    snapshot = memory_snapshot({f"d{n}": str(n) for n in (10, 9, 1, 100)}, QUERIES, [], partitions=4)
    assert doc_ids(snapshot).to_list() == snapshot.documents()["doc_id"].to_list() == ["d1", "d10", "d100", "d9"]
