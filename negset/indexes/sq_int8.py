"""Inverted lists of vectors in 8 bits a number, between the smallest and largest of each dimension."""

import faiss

from negset.indexes import lists
from negset.indexes.kind import Propose, Setting
from negset.indexes.scalar_lists import build_scalar_lists, open_scalar_lists
from negset.search import Matrix

VERSION = 1
FEWEST = lists.FEWEST
KNOBS = ("nprobe",)


def build_index(documents_ND: Matrix, seed: int) -> faiss.Index:
    """Cut the documents into lists of 8 bits a number."""
    return build_scalar_lists(documents_ND, seed, faiss.ScalarQuantizer.QT_8bit)


def settings(documents: int, fixed: Setting) -> list[Setting]:
    """List numbers of lists to look into."""
    return lists.probe_settings(documents, fixed)


def open_index(index: faiss.Index, documents_ND: Matrix) -> Propose:
    """Propose a quarter more than is wanted, which makes up for the rounding."""
    return open_scalar_lists(index, documents_ND, 1.25)
