import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.encoders.hashing import hash_texts
from negset.encoders.lsa import BLOCK, LsaEncoder, LsaModel, load_lsa, save_lsa, sum_embeddings
from negset.errors import ArtifactError, ConfigError
from schemas.encoder import EncoderConfig

MODEL = LsaModel(tokens=["cat", "dog", "fish"], embeddings=np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32))
ENCODER = LsaEncoder(fingerprint="f", model=MODEL)


def test_the_vector_of_a_text_is_the_normalised_sum_of_its_words_embeddings():
    vector = ENCODER.encode(["The dog, the DOG and a cat"], ["q"], "query")[0]

    np.testing.assert_allclose(vector, np.array([1, 4]) / np.sqrt(17), rtol=1e-6)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(MODEL.tokens), min_size=1), st.lists(st.sampled_from(MODEL.tokens), min_size=1))
def test_the_bag_of_two_texts_is_the_sum_of_their_bags(left, right):
    sums = sum_embeddings(MODEL, [" ".join(left), " ".join(right), " ".join(right + left)])
    together = ENCODER.encode([" ".join(left + right)], ["q"], "query")[0]

    np.testing.assert_allclose(sums[0] + sums[1], sums[2], rtol=1e-5)
    np.testing.assert_allclose(together, sums[2] / np.linalg.norm(sums[2]), rtol=1e-5)


def test_a_text_without_known_words_gets_the_direction_of_its_hashed_words():
    vectors = ENCODER.encode(["bird wing", "cat", "wing bird", "tree", "..."], list("abcde"), "document")

    np.testing.assert_array_equal(vectors[[0, 3, 4]], hash_texts(["bird wing", "tree", "..."], 2))
    np.testing.assert_allclose(vectors[0], vectors[2], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_words_that_cancel_out_count_as_unknown():
    opposed = LsaModel(tokens=["in", "out"], embeddings=np.array([[1, 2], [-1, -2]], dtype=np.float32))

    vectors = LsaEncoder("f", opposed).encode(["in out", "in"], ["a", "b"], "query")

    np.testing.assert_array_equal(vectors[0], hash_texts(["in out"], 2)[0])


def test_unknown_words_beside_known_ones_change_nothing():
    plain, more = ENCODER.encode(["cat dog", "cat unheard dog of"], ["a", "b"], "query")

    assert plain.tolist() == more.tolist()


def test_a_blank_text_gives_a_zero_vector_for_the_gate_to_find():
    assert ENCODER.encode(["", " \t"], ["a", "b"], "document").tolist() == [[0, 0], [0, 0]]


def test_a_vector_depends_neither_on_its_block_nor_on_its_neighbours():
    texts = [MODEL.tokens[row % 3] + " cat" for row in range(BLOCK + 5)]

    np.testing.assert_array_equal(
        ENCODER.encode(texts, texts, "document")[-3:], ENCODER.encode(texts[-3:], [], "query")
    )


def test_no_texts_give_no_rows():
    assert ENCODER.encode([], [], "query").shape == (0, 2)


def test_a_model_is_read_as_it_was_written(tmp_path):
    save_lsa(MODEL, tmp_path)

    assert load_lsa(tmp_path).tokens == MODEL.tokens
    np.testing.assert_array_equal(load_lsa(tmp_path).embeddings, MODEL.embeddings)


def test_a_model_whose_files_do_not_fit_is_refused(tmp_path):
    save_lsa(MODEL, tmp_path)
    (tmp_path / "tokens.json").write_text('["cat"]')

    with pytest.raises(ArtifactError, match=r"1 words and embeddings of shape \(3, 2\)"):
        load_lsa(tmp_path)
    (tmp_path / "tokens.json").unlink()
    with pytest.raises(ArtifactError, match="no lsa model"):
        load_lsa(tmp_path)


def test_texts_of_one_subject_are_nearer_than_texts_of_another(store, corpus):
    config = EncoderConfig(dimensions=3)
    encoder = open_encoder(config, store, prepare_encoder(config, corpus, store))

    cat, paw, star = encoder.encode(["cat", "paw", "star"], ["a", "b", "c"], "query")

    assert cat @ paw > 0.9 > 0.5 > cat @ star


FIT = """
import hashlib, random, sys
import polars as pl
from negset.encoders.lsa import save_lsa
from negset.encoders.lsa_fitting import fit_lsa
from negset.text import text_digest
from pathlib import Path
draw = random.Random(5)
words = [f"word{place}" for place in range(5000)]
rows = [(f"d{row:04}", " ".join(draw.choices(words, k=50))) for row in range(3000)]
random.Random(int(sys.argv[2])).shuffle(rows)
frame = pl.DataFrame({"doc_id": [row[0] for row in rows], "text": [row[1] for row in rows]})
digests = pl.Series([text_digest(row[1]) for row in rows], dtype=pl.Binary)
frame = frame.with_columns(title=pl.lit(None, pl.String), text_sha256=digests)
save_lsa(fit_lsa(frame, 128), Path(sys.argv[1]))
"""


def test_the_fitted_bytes_depend_neither_on_threads_nor_hash_seed_nor_row_order(tmp_path):
    running = []
    for threads, hash_seed, shuffle in (("1", "0", "1"), ("2", "1", "2"), ("2", "77", "3")):
        folder = tmp_path / f"{threads}-{hash_seed}"
        folder.mkdir()
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
        environment = os.environ | dict.fromkeys(pools, threads) | {"PYTHONHASHSEED": hash_seed}
        running.append(subprocess.Popen([sys.executable, "-c", FIT, str(folder), shuffle], env=environment))

    assert [process.wait() for process in running] == [0, 0, 0]
    names = {file.name for file in tmp_path.rglob("*.*")}
    assert names == {"embeddings.npy", "tokens.json"}
    for name in names:
        files = [folder / name for folder in sorted(tmp_path.iterdir())]
        assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == 1, name


def test_a_pinned_encoder_stays_as_it_was_fitted_until_another_label(store, corpus, grown):
    config = EncoderConfig(dimensions=3, pin="2024")
    first = prepare_encoder(config, corpus, store, dataset="news")
    assert prepare_encoder(config, grown, store, dataset="news") == first
    assert prepare_encoder(config, grown, store, dataset="other") != first
    assert prepare_encoder(EncoderConfig(dimensions=3), grown, store, dataset="news") != first
    assert prepare_encoder(EncoderConfig(dimensions=3, pin="2025"), grown, store, dataset="news") != first
    shutil.rmtree(store.folder("encoder", first.fingerprint))
    assert prepare_encoder(config, corpus, store, dataset="news") == first  # its own corpus fits it again
    shutil.rmtree(store.folder("encoder", first.fingerprint))
    with pytest.raises(ArtifactError, match=r"pinned as '2024' for 'news' is not in .*another label in encoder\.pin"):
        prepare_encoder(config, grown, store, dataset="news")


def test_what_is_not_fitted_cannot_be_pinned(store, corpus):
    with pytest.raises(ConfigError, match=r"encoder\.pin is for the backend 'lsa'; 'hashing' is not fitted"):
        prepare_encoder(EncoderConfig(backend="hashing", pin="a"), corpus, store)
