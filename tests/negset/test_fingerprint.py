"""Identity: what changes rows is in it, what does not is not."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.fingerprint import canonical_json, fingerprint, identity, rows_digest
from schemas.config import MineConfig
from schemas.encoder import EncoderConfig


def test_runtime_fields_are_not_identity():
    assert fingerprint(EncoderConfig(batch_size=1, device="cpu")) == fingerprint(EncoderConfig(batch_size=512))
    assert fingerprint(EncoderConfig(dimensions=64)) != fingerprint(EncoderConfig(dimensions=65))


def test_runtime_fields_of_inner_sections_are_not_identity_either():
    inner = identity(MineConfig())["dense"]
    assert "backend" not in inner
    assert inner["index"] == "exact"
    assert "query_block" not in identity(MineConfig())


def test_defaults_are_written_out():
    """A later change of a default must not keep the old fingerprint for new rows."""
    assert identity(MineConfig())["depth"] == 100


def test_neighbouring_strings_do_not_run_together():
    assert rows_digest(pl.DataFrame({"a": ["ab", "c"]}), ["a"]) != rows_digest(pl.DataFrame({"a": ["a", "bc"]}), ["a"])
    assert rows_digest(pl.DataFrame({"a": ["", None]}), ["a"]) != rows_digest(pl.DataFrame({"a": [None, None]}), ["a"])


@given(st.permutations([("q1", 1.0), ("q2", 0.25), ("q3", None)]))
def test_a_rows_digest_knows_no_row_order(rows):
    frame = pl.DataFrame(rows, schema={"id": pl.String, "score": pl.Float64}, orient="row")
    ordered = pl.DataFrame([("q1", 1.0), ("q2", 0.25), ("q3", None)], schema=frame.schema, orient="row")
    assert rows_digest(frame, ["id"]) == rows_digest(ordered, ["id"])


def test_a_rows_digest_survives_types_that_a_library_changes():
    words = pl.DataFrame({"id": ["a", "b"], "miner": ["dense", "bm25"], "score": [0.5, 0.25]})
    coded = words.with_columns(pl.col("miner").cast(pl.Categorical), pl.col("score").cast(pl.Float32))
    assert rows_digest(words, ["id"]) == rows_digest(coded, ["id"])


def test_canonical_json_refuses_what_other_readers_cannot_read():
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": float("nan")})
    with pytest.raises(TypeError, match="cannot fingerprint"):
        canonical_json({"a": {1, 2}})


EVERY_TYPE = pl.DataFrame(
    {
        "id": ["b", "a", "c", "d"],
        "number": [2, None, -1, 0],
        "big": pl.Series([1, 2**63, 3, None], dtype=pl.UInt64),
        "float": [0.1234567, None, -0.0, 1e300],
        "flag": [True, None, False, True],
        "word": pl.Series(["x", None, "", "x"], dtype=pl.Categorical),
        "raw": [b"\x00\xff", None, b"", b"z"],
        "at": [datetime(2026, 1, 2, tzinfo=UTC), None, datetime(1960, 1, 1, tzinfo=UTC), None],
        "scores": [
            [{"name": "é", "value": 0.5}, {"name": "m", "value": None}],
            None,
            [],
            [{"name": "n", "value": 2.0}],
        ],
    }
)


@pytest.mark.parametrize("frame", [EVERY_TYPE, EVERY_TYPE.sort("id"), pl.concat([EVERY_TYPE[2:], EVERY_TYPE[:2]])])
def test_a_rows_digest_is_what_it_was(frame):
    """Published manifests hold it: another digest of the same rows would call every set damaged."""
    assert rows_digest(frame, ["id"]) == "59f74dc0264641c7a4d5d1219a76af1c555327132f57683da992e6dfb5a5080e"


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", None]), st.integers(0, 2)), unique=True, max_size=8),
    st.permutations(range(8)),
)
def test_rows_that_are_in_order_already_have_the_digest_of_sorted_ones(rows, order):
    frame = pl.DataFrame(rows, schema={"id": pl.String, "rank": pl.Int32}, orient="row")
    mixed = frame[[place for place in order if place < frame.height]]
    assert rows_digest(mixed, ["id", "rank"]) == rows_digest(frame.sort("id", "rank"), ["id", "rank"])


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_a_coded_column_has_the_digest_of_its_words(block, monkeypatch):
    monkeypatch.setattr("negset.fingerprint._BLOCK", block)
    words = pl.DataFrame({"id": list("abcde"), "word": ["x", None, "", "yé", "x"]})
    for kind in (pl.Categorical, pl.Enum(["yé", "", "x", "unused"])):
        coded = words.with_columns(pl.col("word").cast(kind))
        assert rows_digest(coded, ["id"]) == rows_digest(words, ["id"])
    other = words.with_columns(word=pl.Series(["x", None, "", "x", "yé"]).cast(pl.Categorical))
    assert rows_digest(other, ["id"]) != rows_digest(words, ["id"])
