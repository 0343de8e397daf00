import numpy as np

from negset.encoders.hashing import BLOCK, HashingEncoder, hash_texts, word_directions


def test_vectors_are_the_normalised_sum_of_their_words_directions():
    cat, dog = word_directions(["cat", "dog"], 8)
    expected = (2 * cat + dog) / np.linalg.norm(2 * cat + dog)

    np.testing.assert_allclose(hash_texts(["Cat, dog: cat!"], 8)[0], expected, rtol=1e-6)


def test_a_words_direction_is_fixed_for_ever():
    # Recomputed by hand from blake2b(b"cat") and splitmix64; a change would silently change every vector.
    import hashlib

    state = int.from_bytes(hashlib.blake2b(b"cat", digest_size=8).digest(), "little")
    expected = []
    for step in (1, 2, 3):
        mixed = (state + step * 0x9E3779B97F4A7C15) % 2**64
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
        mixed ^= mixed >> 31
        expected.append((mixed >> 11) / 2**52 - 1)

    np.testing.assert_allclose(word_directions(["cat"], 3)[0], expected, rtol=1e-6)


def test_texts_without_words_differ_and_blank_texts_are_zero():
    vectors = hash_texts(["?", "!", " ? ", "", " \n"], 64)

    assert np.linalg.norm(vectors, axis=1).round(5).tolist() == [1, 1, 1, 0, 0]
    assert vectors[0].tolist() == vectors[2].tolist()
    assert abs(float(vectors[0] @ vectors[1])) < 0.5


def test_a_vector_does_not_depend_on_its_neighbours_or_block():
    texts = [f"word{number} shared" for number in range(BLOCK + 3)]

    many = HashingEncoder("f", 16).encode(texts, texts, "document")

    np.testing.assert_array_equal(many[-1], hash_texts([texts[-1]], 16)[0])


def test_no_texts_give_no_rows():
    assert hash_texts([], 16).shape == (0, 16)
