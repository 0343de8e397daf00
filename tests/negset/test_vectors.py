import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from negset.encoders.hashing import hash_texts
from negset.errors import ArtifactError, ContractError
from negset.shards import ShardRef, digest_texts
from negset.store import Store
from negset.vectors import distinct_texts, embed_texts, find_vectors, look_up, open_vectors, vectors_fingerprint
from schemas.refs import EncoderRef, VectorsRef


@dataclass
class CountingEncoder:
    """Hash texts, remember every call, and let a test spoil what is given."""

    fingerprint: str = "e1"
    dimensions: int = 8
    calls: list[tuple[list[str], list[str]]] = field(default_factory=list)
    spoil: Callable[[list[str], NDArray[np.float32]], NDArray[np.float32]] = lambda ids, vectors: vectors
    fail_at: int = 0

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: str) -> NDArray[np.float32]:
        if self.fail_at and len(self.calls) + 1 == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append((list(texts), list(ids)))
        return self.spoil(list(ids), hash_texts([f"{role} {text}" for text in texts], self.dimensions))

    @property
    def encoded(self) -> int:
        return sum(len(texts) for texts, _ in self.calls)


def expected(texts: Sequence[str], role: str = "document") -> NDArray[np.float32]:
    return hash_texts([f"{role} {text}" for text in texts], 8)


def embed(encoder, texts, store, size=4, key="v1", role="document") -> VectorsRef:
    ids = [f"d{row:03}" for row in range(len(texts))]
    return embed_texts(encoder, ids, texts, role, store, size, key)


TEXTS = [f"text number{row}" for row in range(10)]


def test_every_text_gets_its_own_vector_back_in_any_order(store):
    vectors = open_vectors(store, embed(CountingEncoder(), TEXTS, store))
    wanted = [TEXTS[7], TEXTS[0], TEXTS[7], TEXTS[9]]

    assert vectors.dimensions == 8
    np.testing.assert_array_equal(vectors.gather(wanted), expected(wanted))
    assert vectors.gather([]).shape == (0, 8)


def test_vectors_stay_on_disk_mapped_into_memory(store):
    vectors = open_vectors(store, embed(CountingEncoder(), TEXTS, store))

    shards = [vectors.read_shard(number) for number in range(len(vectors.places.shards))]
    assert all(isinstance(shard, np.memmap) for shard in shards)


def test_a_text_with_several_ids_is_encoded_once_as_the_first_id(store):
    encoder = CountingEncoder()

    ref = embed_texts(encoder, ["b", "c", "a"], ["same", "other", "same"], "document", store, 4, "v1")

    assert ref.rows == 2
    assert sorted(encoder.calls[0][1]) == ["a", "c"]


def test_two_more_documents_cost_two_more_encodings(store):
    encoder = CountingEncoder()
    embed(encoder, TEXTS, store)
    before = encoder.encoded

    grown = ["brand new", *TEXTS, "another new"]
    ref = embed(encoder, grown, store, key="v2")

    assert (before, encoder.encoded) == (10, 12)
    assert sorted(encoder.calls[-1][0]) == ["another new", "brand new"]
    np.testing.assert_array_equal(open_vectors(store, ref).gather(grown), expected(grown))


def test_removed_documents_cost_nothing_and_are_gone_from_the_rows(store):
    encoder = CountingEncoder()
    embed(encoder, TEXTS, store)

    ref = embed(encoder, TEXTS[:3], store, key="v2")

    assert (ref.rows, encoder.encoded) == (3, 10)
    with pytest.raises(ArtifactError, match=r"1 of 1 document texts were not embedded, first 'text number5'"):
        open_vectors(store, ref).gather([TEXTS[5]])


def test_a_kill_loses_at_most_one_shard(store):
    with pytest.raises(KeyboardInterrupt):
        embed(CountingEncoder(fail_at=3), TEXTS, store, size=3)
    again = CountingEncoder()

    ref = embed(again, TEXTS, store, size=3)

    assert [len(texts) for texts, _ in again.calls] == [3, 1]
    np.testing.assert_array_equal(open_vectors(store, ref).gather(TEXTS), expected(TEXTS))
    whole = Store(store.root.parent / "whole")
    assert embed(CountingEncoder(), TEXTS, whole, size=3) == ref
    assert {path.name for path in (store.root / "shard").iterdir()} == {
        path.name for path in (whole.root / "shard").iterdir()
    }


def test_a_second_checkpoint_in_the_same_store_embeds_anew(store):
    embed(CountingEncoder("checkpoint-1"), TEXTS, store)
    second = CountingEncoder("checkpoint-2")

    ref = embed(second, TEXTS, store, key="v2")

    assert second.encoded == 10
    assert ref.content != embed(CountingEncoder("checkpoint-1"), TEXTS, store).content


def test_the_roles_do_not_share_vectors(store):
    encoder = CountingEncoder()
    embed(encoder, TEXTS, store)

    queries = open_vectors(store, embed(encoder, TEXTS, store, key="v2", role="query"))

    assert encoder.encoded == 20
    np.testing.assert_array_equal(queries.gather(TEXTS), expected(TEXTS, "query"))


def test_shard_size_row_order_and_history_change_neither_content_nor_vectors(store):
    first = embed(CountingEncoder(), TEXTS, store, size=3)
    other = Store(store.root.parent / "other")
    embed(CountingEncoder(), TEXTS[4:6], other, key="earlier")
    second = embed(CountingEncoder(), TEXTS[::-1], other, size=7)

    assert (first.content, first.rows) == (second.content, second.rows)
    np.testing.assert_array_equal(open_vectors(store, first).gather(TEXTS), open_vectors(other, second).gather(TEXTS))


def test_progress_counts_distinct_texts_and_those_that_were_there(store):
    steps = []
    embed(CountingEncoder(), TEXTS[:4], store)

    ids = [f"d{row}" for row in range(10)]
    told = lambda step, done, total: steps.append((step, done, total))  # noqa: E731
    embed_texts(CountingEncoder(), ids, TEXTS, "document", store, 4, "v2", told)

    assert steps == [("embed document", done, 10) for done in (4, 8, 10)]


def spoiled(row_id: str, value: float):
    def spoil(ids, vectors):
        vectors = vectors.copy()
        if row_id in ids:
            vectors[ids.index(row_id)] = value
        return vectors

    return spoil


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "zero"), (7.0, "not of length 1")]
)
def test_a_broken_vector_stops_the_build_naming_the_id(store, value, said):
    with pytest.raises(ContractError, match=rf"document vectors that are .*{said}.*ids d007$"):
        embed(CountingEncoder(spoil=spoiled("d007", value)), TEXTS, store, size=100)
    assert find_vectors(store, "v1") is None


def test_the_first_twenty_broken_ids_are_named(store):
    texts = [f"text {row}" for row in range(30)]

    with pytest.raises(ContractError, match=r"30 of 30 in a shard.* and 10 more"):
        embed(CountingEncoder(spoil=lambda ids, vectors: vectors * 0), texts, store, size=100)


def test_vectors_of_another_width_are_refused(store):
    with pytest.raises(ContractError, match=r"of shape \(4, 7\), not \(4, 8\)"):
        embed(CountingEncoder(spoil=lambda ids, vectors: vectors[:, :7]), TEXTS, store)
    embed(CountingEncoder(), TEXTS, store)
    with pytest.raises(ContractError, match="gives 9 dimensions, its stored vectors have 8"):
        embed(CountingEncoder(dimensions=9), TEXTS, store, key="v2")


def test_a_missing_shard_is_embedded_again(store):
    ref = embed(CountingEncoder(), TEXTS, store, size=4)
    lost = sorted((store.root / "shard").iterdir())[1]
    (lost / "vectors.npy").unlink()
    assert find_vectors(store, "v1") is None
    with pytest.raises(ArtifactError, match=r"vectors\.npy"):
        open_vectors(store, ref)

    again = CountingEncoder()
    found = embed(again, TEXTS, store, size=3)

    assert 0 < again.encoded < 10
    assert found.content == ref.content
    assert find_vectors(store, "v1") == found
    np.testing.assert_array_equal(open_vectors(store, found).gather(TEXTS), expected(TEXTS))


def test_a_flipped_byte_in_a_shard_is_found_on_opening(store):
    ref = embed(CountingEncoder(), TEXTS, store)
    path = sorted((store.root / "shard").iterdir())[0] / "vectors.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))

    with pytest.raises(ArtifactError, match="sha256"):
        open_vectors(store, ref)


def test_no_texts_give_no_vectors(store):
    vectors = open_vectors(store, embed(CountingEncoder(), [], store))

    assert vectors.gather([]).shape == (0, 8)


def test_digests_know_the_role_and_every_character():
    texts = ["a", "A", "a ", "\u00e9", "e\u0301"]

    assert len(set(digest_texts(texts, "query").tolist()) | set(digest_texts(texts, "document").tolist())) == 10
    assert digest_texts(["a"], "query").tobytes() == hashlib.sha256(b"query\0a").digest()


@settings(max_examples=50)
@given(
    st.sets(st.binary(min_size=2, max_size=2), max_size=20), st.lists(st.binary(min_size=2, max_size=2), max_size=20)
)
def test_digests_are_looked_up_whatever_bytes_they_end_with(known, wanted):
    """numpy drops zero bytes at the end of a byte string: digests of one length must not suffer from it."""
    table = np.array(sorted(key + bytes(30) for key in known), dtype="S32")

    rows, found = look_up(table, np.array([key + bytes(30) for key in wanted], dtype="S32"))

    assert found.tolist() == [key in known for key in wanted]
    assert [sorted(known)[row] for row, there in zip(rows, found, strict=True) if there] == [
        key for key in wanted if key in known
    ]


def test_distinct_texts_are_represented_by_their_smallest_id():
    digests = digest_texts(["x", "y", "x"], "query")

    distinct, first = distinct_texts(["c", "b", "a"], digests)

    assert sorted(["c", "b", "a"][row] for row in first) == ["a", "b"]
    assert distinct.tolist() == sorted(set(digests.tolist()))


def test_the_fingerprint_of_vectors_knows_encoder_texts_and_role():
    one, two = (EncoderRef(fingerprint=name, content=name, rows=0) for name in ("one", "two"))
    keys = {
        vectors_fingerprint(encoder, texts, role)
        for encoder in (one, two)
        for texts in ("t1", "t2")
        for role in ("query", "document")
    }

    assert len(keys) == 8


def test_shards_are_named_by_their_encoder_role_and_texts(store):
    embed(CountingEncoder(), TEXTS, store)
    manifests = [store.manifest(ShardRef.kind, folder.name) for folder in (store.root / "shard").iterdir()]

    assert sum(manifest.rows for manifest in manifests) == 10
    assert {len(manifest.fingerprint) for manifest in manifests} == {64}
    assert {manifest.facts["role"] for manifest in manifests} == {"document"}


def test_two_hundred_thousand_texts_are_gathered_in_seconds(store):
    texts = [f"a text with number {row}" for row in range(200_000)]
    constant = np.full((1, 8), 8**-0.5, dtype=np.float32)
    encoder = CountingEncoder(spoil=lambda ids, vectors: vectors)
    encoder.encode = lambda texts, ids, role: np.repeat(constant, len(texts), axis=0)
    vectors = open_vectors(store, embed(encoder, texts, store, size=50_000))

    start = time.perf_counter()
    found = vectors.gather(texts)

    assert found.shape == (200_000, 8)
    assert time.perf_counter() - start < 10
