"""A GPU gives the bytes of the CPU: over-fetched there, rescored here."""

import numpy as np
import pytest

from negset.search import search_exact

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("documents", [900, 40_000])
def test_a_gpu_finds_what_the_cpu_finds_in_the_same_order(documents):
    draw = np.random.default_rng(7)
    queries = draw.normal(size=(1200, 64)).astype(np.float32)
    corpus = draw.normal(size=(documents, 64)).astype(np.float32)
    corpus[::9] = corpus[0]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    depths = np.full(len(queries), 30)
    cpu, gpu = (search_exact(queries, corpus, depths, backend) for backend in ("cpu", "torch"))
    for name in ("query", "doc", "score"):
        np.testing.assert_array_equal(getattr(cpu, name), getattr(gpu, name))
