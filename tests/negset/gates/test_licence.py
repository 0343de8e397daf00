"""A licence outside the agreed ones is named; so is a document without one, unless that was agreed to."""

import polars as pl
import pytest

from negset.gates.licence import licence_checks, refused
from schemas.gates import GatesConfig

DOCUMENTS = pl.DataFrame(
    {"doc_id": ["d3", "d1", "d2", "d4"], "licence": ["CC-BY-4.0 ", "proprietary", None, "mit"]},
)


@pytest.mark.parametrize(
    ("licences", "named"),
    [
        (("cc-by-4.0", "MIT"), ["d1", "d2"]),
        (("cc-by-4.0", "mit", "unknown"), ["d1"]),
        (("cc-by-4.0", "mit", "unknown", "proprietary"), []),
        (("cc-by",), ["d1", "d2", "d3", "d4"]),  # no prefix is enough
    ],
)
def test_documents_outside_the_licence_set_are_named(licences, named):
    config = GatesConfig(licences=licences, licence_column="licence")
    own, documents = licence_checks(DOCUMENTS, licences[0], config)
    assert own.passed
    assert [row["doc_id"] for row in documents.rows] == named
    assert documents.passed == (not named)
    assert documents.severity == "critical"


def test_an_unknown_licence_is_called_so():
    assert refused(DOCUMENTS, ("mit",)).filter(pl.col("doc_id") == "d2")["licence"].item() == "unknown"


@pytest.mark.parametrize(("licence", "passes"), [("MIT", True), ("", False), ("gpl", False)])
def test_the_set_has_an_allowed_licence(licence, passes):
    checks = licence_checks(DOCUMENTS, licence, GatesConfig(licences=("mit", "bsd")))
    assert [(check.name, check.passed) for check in checks] == [("set_licence", passes)]
    if not passes:
        assert "must be one of mit, bsd" in checks[0].advice


def test_without_a_licence_set_nothing_is_looked_at():
    assert licence_checks(DOCUMENTS, "", GatesConfig(licence_column="licence")) == ()
