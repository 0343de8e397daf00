import subprocess
import sys

import numpy as np
import pytest

from negset.encoders.encoder import BACKENDS, encoder_fingerprint, load_backend, open_encoder, prepare_encoder
from negset.errors import ArtifactError
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef


def test_a_prepared_encoder_opens_under_its_fingerprint(store, corpus):
    config = EncoderConfig(backend="hashing", dimensions=16)

    ref = prepare_encoder(config, corpus, store)
    encoder = open_encoder(config, store, ref)

    assert ref.content == ref.fingerprint == encoder.fingerprint == encoder_fingerprint(config, corpus.content)
    assert encoder.dimensions == 16
    assert encoder.encode(["a cat"], ["q1"], "query").shape == (1, 16)


def test_preparing_twice_gives_one_artifact(store, corpus):
    config = EncoderConfig(backend="lsa", dimensions=4)

    assert prepare_encoder(config, corpus, store) == prepare_encoder(config, corpus, store)
    assert len(list((store.root / "encoder").iterdir())) == 1


def test_an_encoder_that_changed_since_it_was_prepared_is_not_opened(store, corpus):
    ref = prepare_encoder(EncoderConfig(backend="hashing", dimensions=16), corpus, store)

    with pytest.raises(ArtifactError, match="changed since it was prepared"):
        open_encoder(EncoderConfig(backend="hashing", dimensions=17), store, ref)


def test_an_encoder_that_was_never_prepared_is_not_opened(store):
    ref = EncoderRef(fingerprint="0" * 64, content="0" * 64, rows=0)

    with pytest.raises(ArtifactError, match="Build it again"):
        open_encoder(EncoderConfig(backend="hashing"), store, ref)


def test_the_corpus_is_in_the_fingerprint_only_of_an_encoder_fitted_on_it():
    fitted, hashed = EncoderConfig(backend="lsa"), EncoderConfig(backend="hashing")

    assert encoder_fingerprint(fitted, "one") != encoder_fingerprint(fitted, "two")
    assert encoder_fingerprint(hashed, "one") == encoder_fingerprint(hashed, "two")


@pytest.mark.parametrize(
    "runtime", [{"batch_size": 7}, {"shard_size": 7}, {"device": "cpu"}, {"model": "unused by lsa"}]
)
def test_what_changes_no_vector_is_not_in_the_fingerprint(runtime):
    assert encoder_fingerprint(EncoderConfig(**runtime), "c") == encoder_fingerprint(EncoderConfig(), "c")


def test_the_fingerprints_of_two_widths_and_two_backends_differ():
    keys = {
        encoder_fingerprint(EncoderConfig(backend=backend, dimensions=dimensions), "c")
        for backend in ("lsa", "hashing")
        for dimensions in (8, 16)
    }
    assert len(keys) == 4


def test_every_backend_offers_the_functions_that_are_called():
    for name in BACKENDS:
        backend = load_backend(EncoderConfig(backend=name))
        assert callable(backend.identify)
        assert callable(backend.prepare)
        assert callable(backend.open_folder)


def test_an_encoder_that_is_in_the_store_is_not_fitted_again(store, corpus, monkeypatch):
    config = EncoderConfig(backend="lsa", dimensions=4)
    ref = prepare_encoder(config, corpus, store)
    monkeypatch.setattr("negset.encoders.lsa.prepare", None)
    assert prepare_encoder(config, corpus, store) == ref


def test_the_default_encoder_opens_without_torch_or_scikit_learn(store, corpus):
    config = EncoderConfig(backend="lsa", dimensions=4)
    ref = prepare_encoder(config, corpus, store)
    program = f"""
import sys
from pathlib import Path
from negset.encoders.encoder import BACKENDS, load_backend, open_encoder
from negset.store import Store
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef
import negset.vectors
config = EncoderConfig(backend="lsa", dimensions=4)
encoder = open_encoder(config, Store(Path({str(store.root)!r})), EncoderRef(**{ref.model_dump()!r}))
encoder.encode(["a cat"], ["q"], "query")
for name in BACKENDS:
    load_backend(EncoderConfig(backend=name))
print([name for name in ("torch", "sklearn", "sentence_transformers", "datasets", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_vectors_of_every_fitted_or_hashed_text_have_length_one(store, corpus):
    for backend in ("lsa", "hashing"):
        config = EncoderConfig(backend=backend, dimensions=8)
        encoder = open_encoder(config, store, prepare_encoder(config, corpus, store))
        vectors = encoder.encode(["cat moon", "never seen", "?"], ["a", "b", "c"], "query")
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
