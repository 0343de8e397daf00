from datetime import UTC, datetime

from negset.publishing.manifest import read_manifest
from negset.publishing.openlineage import publication_event

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_event_says_what_was_read_and_what_was_written(published):
    manifest = read_manifest(published)
    event = publication_event(manifest, published.name, at=AT, namespace="search")
    assert (event["eventType"], event["eventTime"]) == ("COMPLETE", "2026-01-02T03:04:05+00:00")
    assert event["inputs"][0]["facets"]["version"]["datasetVersion"] == manifest.source.content
    outputs = {output["name"]: output for output in event["outputs"]}
    assert {output["namespace"] for output in event["outputs"]} == {"search"}
    negatives = outputs["tiny.negatives"]
    assert negatives["facets"]["version"]["datasetVersion"] == published.name
    assert negatives["facets"]["dataQualityAssertions"]["assertions"] == [
        {"assertion": "negatives_present", "success": True}
    ]
    # Two splits, two files: counting one file would give the rows of one split.
    statistics = outputs["tiny.ntuples"]["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (3, 2)


def test_an_event_that_is_sent_twice_is_one_run_and_a_later_one_another(published):
    manifest = read_manifest(published)
    first, again = (publication_event(manifest, published.name, at=AT) for _ in range(2))
    assert first == again
    later = publication_event(manifest, published.name, at=AT.replace(hour=4))
    assert later["run"] != first["run"]
