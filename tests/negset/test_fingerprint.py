"""Identity: what changes rows is in it, what does not is not."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.fingerprint import canonical_json, fingerprint, identity, rows_digest
from schemas.config import EncoderConfig, MineConfig


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
