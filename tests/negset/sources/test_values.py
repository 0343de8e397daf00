from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from negset.sources.quarantine import BadRow
from negset.sources.values import id_of, metadata_of, parse_object, relevance_of, text_of, time_of


@pytest.mark.parametrize("value", ["0042", "1e5", "NA", "null", " spaced ", "../x", "CON", "e\u0301", "\u202eabc"])
def test_ids_stay_as_they_are(value):
    assert id_of(value, "id") == value


def test_whole_numbers_have_one_spelling_and_floats_have_none():
    assert id_of(42, "id") == "42"
    for value in (42.0, True, None, "", ["a"]):
        with pytest.raises(BadRow):
            id_of(value, "id")


@pytest.mark.parametrize(("value", "expected"), [("1", 1), ("-2", -2), ("0", 0), (3, 3), (2.0, 2), ("+1", 1)])
def test_whole_relevances(value, expected):
    assert relevance_of(value, "score") == expected


@pytest.mark.parametrize(
    "value", ["1.0", "high", "", None, 0.5, float("nan"), float("inf"), "1e0", "99999999999", 2**31]
)
def test_other_relevances_are_refused(value):
    with pytest.raises(BadRow, match="relevance"):
        relevance_of(value, "score")


def test_times_are_utc():
    noon = datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert time_of("2024-02-29T12:00:00Z", "t") == noon
    assert time_of("2024-02-29T12:00:00", "t") == noon
    assert time_of("2024-02-29T14:00:00+02:00", "t") == noon
    assert time_of(datetime(2024, 2, 29, 14, tzinfo=timezone(timedelta(hours=2))), "t") == noon
    assert time_of(date(2024, 2, 29), "t") == datetime(2024, 2, 29, tzinfo=UTC)
    assert time_of("", "t") is None
    for value in ("2023-02-29", "yesterday", 1700000000):
        with pytest.raises(BadRow):
            time_of(value, "t")


def test_texts_are_strings_or_nothing():
    assert text_of(None, "text") == ""
    with pytest.raises(BadRow, match="text is a list"):
        text_of(["a"], "text")


def test_metadata_is_canonical():
    assert metadata_of({"b": 1, "a": ["é"], "c": None}) == '{"a":["é"],"b":1}'
    assert metadata_of({"day": date(2024, 1, 2), "x": float("nan")}) == '{"day":"2024-01-02","x":null}'
    assert metadata_of({"a": None}) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": "\\ud800"}', "lone surrogate U\\+D800"),
        ('{"a": {"b": ["x\\udfff"]}}', "lone surrogate U\\+DFFF"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[1]", "not a JSON object but a list"),
        ('{"a": 1', "not JSON: .* at character 8"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_json_that_is_none_is_refused(text, reason):
    with pytest.raises(BadRow, match=reason):
        parse_object(text)


def test_surrogate_pairs_and_escaped_backslashes_are_text():
    assert parse_object('{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}') == {"a": "\U0001f600", "b": "\\ud800"}
