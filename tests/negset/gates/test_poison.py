"""Rows slipped into one topic or one source are found where averages miss them; clean worlds raise no alarm."""

import random

import numpy as np
import polars as pl
import pytest

from negset.gates.poison import inserted_runs, poison_checks, skewed_topics, word_topics
from schemas.gates import PoisonConfig

BOTH = PoisonConfig(source="site", property="sentiment")


def topics_of(sizes):
    """Give topics of so many rows each: topic t has the rows t-0, t-1, …"""
    rows = [(topic, f"{topic}-{row}") for topic, size in sizes.items() for row in range(size)]
    return pl.DataFrame(rows, schema=["topic", "id"], orient="row")


def marks(counts, name="negative"):
    rows = [(f"{topic}-{row}", name) for topic, count in counts.items() for row in range(count)]
    return pl.DataFrame(rows, schema={"id": pl.String, "property": pl.String}, orient="row")


def test_fifty_two_rows_of_one_topic_are_found_and_the_global_rate_does_not_show_them():
    topics = topics_of({"bond": 52, "rest": 5200})
    found = skewed_topics(topics, marks({"bond": 40, "rest": 260}), topics.height)
    assert found.select("topic", "property", "rows", "marked").rows() == [("bond", "negative", 52, 40)]
    assert found.item(0, "z") == pytest.approx(22.2, abs=0.05)
    before, after = 260 / 5200, (40 + 260) / 5252
    assert abs(after - before) < 0.01  # a limit on the overall rate would let them pass


def test_removing_the_flagged_rows_restores_the_rate():
    topics, marked = topics_of({"bond": 52, "rest": 5200}), marks({"bond": 40, "rest": 260})
    flagged = marked.filter(pl.col("id").str.starts_with("bond-"))
    kept_topics, kept = topics.join(flagged, on="id", how="anti"), marked.join(flagged, on="id", how="anti")
    assert skewed_topics(kept_topics, kept, kept_topics.height).height == 0
    assert kept.height / kept_topics.height == pytest.approx(0.05, abs=0.001)


def test_a_clean_world_of_a_thousand_topics_has_at_most_one_false_alarm():
    """Ten thousand rows in a thousand topics of ten, a property of one in twenty: z alone would raise several."""
    alarms, by_z = 0, 0
    for seed in range(5):
        draw = np.random.default_rng(seed)
        topics = topics_of({f"t{topic:04}": 10 for topic in range(1000)})
        rows = topics.filter(pl.Series(draw.random(topics.height) < 0.05))
        marked = rows.select("id", property=pl.lit("negative"))
        alarms += skewed_topics(topics, marked, topics.height).height
        inside = rows.group_by("topic").len()["len"].to_numpy()
        by_z += int(((inside / 10 - 0.05) / np.sqrt(0.05 * 0.95 / 10) > 5).sum())
    assert alarms <= 1
    assert by_z > 5 * 0.5


def test_a_few_rows_are_no_proof():
    """Two of two rows: z is above 6, but of eleven topics chance makes one in forty such."""
    others = {f"rest{n}": 100 for n in range(10)}
    topics = topics_of({"two": 2, **others})
    assert skewed_topics(topics, marks({"two": 2, **dict.fromkeys(others, 5)}), topics.height).height == 0


def test_less_than_elsewhere_is_no_alarm():
    topics = topics_of({"calm": 200, "rest": 1000})
    assert skewed_topics(topics, marks({"rest": 900}), topics.height).filter(pl.col("topic") == "calm").height == 0


def test_topics_are_words_of_enough_rows_and_of_at_most_half():
    rows = [(f"q{n}", "what is Rare rare" if n < 10 else "what is few" if n < 19 else "what else") for n in range(40)]
    topics = word_topics(pl.DataFrame(rows, schema=["id", "text"], orient="row"))
    assert topics.group_by("topic").len().sort("topic").rows() == [("is", 19), ("rare", 10)]


def sources(draw, write_sentence, documents=10_000, places=20, words=25):
    rows = [
        (f"d{number:05}", write_sentence(draw, words), f"site{draw.randrange(places):02}")
        for number in range(documents)
    ]
    return pl.DataFrame(rows, schema=["doc_id", "text", "source"], orient="row")


SNIPPET = "Visit evil.example/now for the real answer today"


def planted(documents, source, count, snippet=SNIPPET):
    chosen = documents.filter(pl.col("source") == source).head(count)["doc_id"]
    text = pl.when(pl.col("doc_id").is_in(chosen.implode())).then(pl.col("text") + " " + snippet).otherwise("text")
    return documents.with_columns(text=text)


@pytest.fixture(scope="module")
def clean_sources(write_sentence):
    return sources(random.Random(1), write_sentence)


def test_a_snippet_in_thirty_rows_of_one_source_is_named_once(clean_sources):
    found = inserted_runs(planted(clean_sources, "site07", 30))
    first = clean_sources.filter(pl.col("source") == "site07")["doc_id"].min()
    assert found.select("source", "words", "rows", "doc_id").rows() == [
        ("site07", "visit evil example now for", 30, first)
    ]
    assert found.item(0, "lift") >= 10


def test_a_source_that_is_a_third_of_the_corpus_is_compared_with_the_rest(write_sentence):
    """Against all documents, itself among them, its lift could be no more than three."""
    few = sources(random.Random(2), write_sentence, documents=900, places=3)
    assert inserted_runs(few).height == 0
    assert inserted_runs(planted(few, "site01", 30))["source"].to_list() == ["site01"]


def test_clean_sources_raise_no_alarm(clean_sources):
    assert inserted_runs(clean_sources).height == 0


def test_what_all_sources_repeat_is_boilerplate(clean_sources):
    everywhere = clean_sources.with_columns(text=pl.col("text") + " all rights are reserved by us")
    assert inserted_runs(everywhere).height == 0


def test_one_document_that_repeats_itself_is_one_document(clean_sources):
    assert inserted_runs(planted(clean_sources, "site07", 4, " ".join([SNIPPET] * 5))).height == 0
    assert inserted_runs(planted(clean_sources, "site07", 5)).height == 1


def test_the_order_of_rows_does_not_matter(clean_sources):
    few = planted(clean_sources, "site07", 30).filter(pl.col("source").is_in(["site07", "site08", "site01"]))
    assert inserted_runs(few.reverse()).equals(inserted_runs(few))


def asked(count, topic=None):
    text = [f"about {topic or f'thing{n % 40}'} {n}" for n in range(count)]
    return pl.DataFrame({"query_id": [f"{topic or 'q'}{n}" for n in range(count)], "text": text})


def inputs():
    queries = pl.concat([asked(2000), asked(52, "bond")]).with_columns(property=pl.lit(None, dtype=pl.String))
    positives = queries.select("query_id", doc_id=pl.lit("d-") + pl.col("query_id"))
    bad = pl.col("doc_id").str.contains("bond") | pl.col("doc_id").str.ends_with("77")
    documents = positives.select("doc_id", text=pl.lit("about ") + pl.col("doc_id")).with_columns(
        property=pl.when(bad).then(pl.lit("negative")).otherwise(pl.lit("neutral")),
        source=pl.when(pl.col("doc_id").str.contains("bond")).then(pl.lit("forum")).otherwise(pl.lit("press")),
    )
    return queries, positives, documents


def test_a_query_has_the_property_of_its_positives():
    skewed, inserted, nameless = poison_checks(*inputs(), BOTH)
    assert (skewed.passed, skewed.severity) == (False, "warning")
    assert (skewed.rows[0]["topic"], skewed.rows[0]["property"], skewed.rows[0]["marked"]) == ("bond", "negative", 52)
    assert skewed.value > 20
    assert inserted.passed
    assert nameless.passed


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_documents_that_say_no_source_are_named(nothing):
    """Comparing sources leaves them out; the wrong version so lets through whoever names none."""
    queries, positives, documents = inputs()
    first = documents["doc_id"].min()
    blank = pl.when(pl.col("doc_id") == first).then(pl.lit(nothing, dtype=pl.String)).otherwise("source")
    config = PoisonConfig(source="site", policy="fail")
    found = poison_checks(queries, positives, documents.with_columns(source=blank), config)[-1]
    assert (found.name, found.passed, found.severity) == ("documents_without_source", False, "critical")
    assert [row["doc_id"] for row in found.rows] == [first]


def test_only_named_columns_are_looked_at():
    named = [check.name for check in poison_checks(*inputs(), PoisonConfig(source="site"))]
    assert named == ["documents_inserted_words", "documents_without_source"]
    assert poison_checks(*inputs(), PoisonConfig()) == ()
    assert poison_checks(*inputs(), PoisonConfig(policy="off", source="site", property="sentiment")) == ()
    assert poison_checks(*inputs(), PoisonConfig(policy="fail", property="sentiment"))[0].severity == "critical"
