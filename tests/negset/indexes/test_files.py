import faiss
import numpy as np
import pytest

from negset.errors import ArtifactError, ContractError
from negset.indexes.files import FILE, is_sound, read_index, write_index
from negset.indexes.kind import FILES
from schemas.refs import IndexRef


@pytest.fixture(params=sorted(FILES))
def kept(request, store, vectors):
    documents = vectors(1200)
    write_index(store, "key", request.param, documents, 13)
    return store, documents, request.param


def test_the_bytes_do_not_depend_on_threads(kept, tmp_path):
    store, documents, kind = kept
    before = faiss.omp_get_max_threads()
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        write_index(store, f"again{threads}", kind, documents, 13)
    faiss.omp_set_num_threads(before)
    digests = {store.manifest("index", key).files[0].sha256 for key in ("key", "again1", "again2")}
    assert len(digests) == 1


def test_what_is_read_is_what_was_written(kept):
    store, documents, _ = kept
    index = read_index(store, "key", documents)
    assert (index.ntotal, index.d) == documents.shape
    assert is_sound(store, "key")


def test_a_flipped_bit_is_not_read_and_the_index_is_built_anew(kept):
    store, documents, kind = kept
    path = store.folder("index", "key") / FILE
    whole = path.read_bytes()
    data = bytearray(whole)
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert not is_sound(store, "key")
    with pytest.raises(ArtifactError, match=r"index.faiss has sha256 .* its manifest says"):
        read_index(store, "key", documents)
    write_index(store, "key", kind, documents, 13)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("claim", ["cut", "noise", "huge"])
def test_a_file_that_was_written_wrong_is_an_error_and_no_crash(store, vectors, claim):
    """The digest is right, the content is not: as if somebody else had put it there."""
    documents = vectors(1200)
    write_index(store, "key", "hnsw", documents, 13)
    data = bytearray((store.folder("index", "key") / FILE).read_bytes())
    if claim == "cut":
        data = data[: len(data) // 2]
    elif claim == "noise":
        data = bytearray(np.random.default_rng(1).bytes(len(data)))
    else:
        at = data.find(np.int64(1200 * 24 * 4).tobytes())  # the vectors' length in bytes or floats, whichever is kept
        at = at if at >= 0 else data.find(np.int64(1200 * 24).tobytes())
        assert at >= 0
        data[at : at + 8] = np.int64(1 << 40).tobytes()
    with store.staging() as staged:
        (staged / FILE).write_bytes(bytes(data))
        store.commit(IndexRef, "wrong", "wrong", 1200, staged)
    limits = (faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit())
    with pytest.raises(ArtifactError, match="is no index that faiss reads"):
        read_index(store, "wrong", documents)
    assert limits == (faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit())


def test_an_index_of_other_vectors_is_refused(store, vectors):
    write_index(store, "key", "ivf-flat", vectors(1200), 13)
    with pytest.raises(ContractError, match="indexes 1200 vectors of 24 dimensions, the partition has 1199"):
        read_index(store, "key", vectors(1199))
