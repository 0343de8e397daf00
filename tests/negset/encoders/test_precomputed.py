from pathlib import Path

import numpy as np
import polars as pl
import pytest

from negset.encoders.encoder import encoder_fingerprint, open_encoder, prepare_encoder
from negset.errors import ConfigError, InputError
from schemas.encoder import EncoderConfig


def write_parquet(
    path: Path, names: list[str], vectors: list[list[float]], width: int | None = 2, key: str = "id"
) -> Path:
    kind = pl.List(pl.Float64) if width is None else pl.Array(pl.Float32, width)
    pl.DataFrame({key: names, "vector": pl.Series(vectors, dtype=kind)}).write_parquet(path)
    return path


def write_npy(path: Path, names: list[str], vectors: list[list[float]]) -> Path:
    np.save(path, np.array(vectors, dtype=np.float16))
    pl.DataFrame({"id": names}).write_parquet(path.with_suffix(".parquet"))
    return path


@pytest.fixture
def config(tmp_path) -> EncoderConfig:
    """Give two queries in Parquet and three documents in .npy."""
    queries = write_parquet(tmp_path / "q.parquet", ["q2", "q1"], [[3, 4], [0, 2]], key="query_id")
    documents = write_npy(tmp_path / "d.npy", ["a", "b", "c"], [[1, 0], [0, 1], [-1, 0]])
    return EncoderConfig(backend="precomputed", query_vectors=str(queries), document_vectors=str(documents))


def opened(config, store, corpus):
    return open_encoder(config, store, prepare_encoder(config, corpus, store))


def test_vectors_are_found_by_id_and_normalised(config, store, corpus):
    encoder = opened(config, store, corpus)

    assert encoder.dimensions == 2
    np.testing.assert_allclose(encoder.encode(["", ""], ["q1", "q2"], "query"), [[0, 1], [0.6, 0.8]], rtol=1e-6)
    assert encoder.encode(["", "", ""], ["c", "a", "c"], "document").tolist() == [[-1, 0], [1, 0], [-1, 0]]
    assert encoder.encode([], [], "query").shape == (0, 2)


def test_a_column_of_plain_lists_will_do(config, store, corpus, tmp_path):
    write_parquet(tmp_path / "q.parquet", ["q1"], [[3, 4]], width=None)

    np.testing.assert_allclose(opened(config, store, corpus).encode([""], ["q1"], "query"), [[0.6, 0.8]], rtol=1e-6)


def test_ids_without_a_vector_are_named_the_first_twenty_of_them(config, store, corpus):
    wanted = ["a", *(f"x{number:02}" for number in range(30))]

    with pytest.raises(InputError, match=r"d.npy has no vector for 30 of 31 ids: x00, x01, .*x19 and 10 more"):
        opened(config, store, corpus).encode(wanted, wanted, "document")


def test_both_files_must_have_one_width(config, store, corpus, tmp_path):
    write_parquet(tmp_path / "q.parquet", ["q1"], [[1, 2, 3]], width=3)

    with pytest.raises(InputError, match=r"of 3 dimensions and .* of 2"):
        prepare_encoder(config, corpus, store)


def test_the_bytes_of_each_file_are_in_the_fingerprint_and_their_place_is_not(config, tmp_path):
    before = encoder_fingerprint(config, "c")
    moved = (tmp_path / "q.parquet").rename(tmp_path / "elsewhere.parquet")
    config = config.model_copy(update={"query_vectors": str(moved)})
    assert encoder_fingerprint(config, "c") == before

    write_parquet(moved, ["q2", "q1"], [[3, 4], [0, 2.5]], key="query_id")
    changed = encoder_fingerprint(config, "c")
    assert changed != before
    pl.DataFrame({"id": ["b", "a", "c"]}).write_parquet(tmp_path / "d.parquet")
    assert encoder_fingerprint(config, "c") not in (before, changed)


@pytest.mark.parametrize(
    ("names", "vectors", "said"),
    [
        (["q1", "q1", "q2"], [[1.0, 0], [0, 1], [1, 1]], "repeats ids: q1"),
        (["q1", "q2"], [[1.0, 0], [1]], "different lengths"),
        (["q1", "q2"], [[1.0, 0], None], "has nulls"),
        (["q1", "q2"], [[1.0, 0], [1, None]], "has nulls"),
    ],
)
def test_tables_that_are_no_vectors_are_refused(config, store, corpus, tmp_path, names, vectors, said):
    write_parquet(tmp_path / "q.parquet", names, vectors, width=None)

    with pytest.raises(InputError, match=said):
        prepare_encoder(config, corpus, store)


def test_files_of_another_shape_are_refused(config, store, corpus, tmp_path):
    def refuse(said):
        with pytest.raises(InputError, match=said):
            prepare_encoder(config, corpus, store)

    pl.DataFrame({"key": ["q1"], "vector": [[1.0]]}).write_parquet(tmp_path / "q.parquet")
    refuse("has no id column")
    pl.DataFrame({"id": ["q1"]}).write_parquet(tmp_path / "q.parquet")
    refuse("must have one column of lists, found none")
    (tmp_path / "q.parquet").write_bytes(b"<html>")
    refuse("cannot read vectors from .*q.parquet")
    write_parquet(tmp_path / "q.parquet", ["q1"], [[1, 2]])
    np.save(tmp_path / "d.npy", np.zeros((2, 2)))
    refuse("has 2 vectors but .* names 3 ids")
    np.save(tmp_path / "d.npy", np.zeros((3, 2), dtype=np.int64))
    refuse("not floats of shape")
    np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refuse("cannot read vectors from .*d.npy")
    (tmp_path / "d.npy").unlink()
    refuse("cannot read .*d.npy")


def test_a_file_of_unknown_kind_or_no_file_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match=r"neither \.parquet nor \.npy"):
        encoder_fingerprint(config.model_copy(update={"query_vectors": "q.csv"}), "c")
    with pytest.raises(ConfigError, match="document_vectors is empty"):
        encoder_fingerprint(config.model_copy(update={"document_vectors": ""}), "c")
