"""Near-duplicates in a corpus: exact twins of normalised text, then Jaccard of word 3-shingles.

Pairs are found by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007): under any one order of all
shingles, two sets of Jaccard >= t share one of the first n - ceil(t n) + 1 shingles of each. Rare shingles
come first, so few documents meet in a bucket; every pair that meets is verified. Unlike MinHash, no pair is
missed by chance. Buckets larger than `SMALL` are compared by neighbours only, so time stays linear in the
corpus even where thousands of documents are made from one template.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from negset.fingerprint import fingerprint
from negset.lots import mix
from negset.progress import Progress, no_progress
from negset.store import Store
from negset.text import document_texts, normalise_text
from schemas.refs import DuplicatesRef

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

THRESHOLD = 0.9
"""Least Jaccard similarity of near-duplicates."""
VERSION = 1
WORDS = 3
"""Words in a shingle; a shorter text has none and is only ever an exact twin."""
SMALL = 16
"""Documents in a bucket up to which every pair is compared."""
NEIGHBOURS = 3
"""In a larger bucket, how many of the following documents each is compared with, beside the first."""
_CHUNK = 8192
_PAIRS = 1 << 16
_SKETCH_BITS = 24

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]|[\w--[{_UNSPACED}]]+"
"""A word; in scripts that set no spaces, a character."""

Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Shingles:
    """The distinct shingles of each text, sorted: text i has keys[starts[i]:starts[i + 1]]."""

    keys: Keys
    starts: Rows

    def take(self, rows: slice) -> "Shingles":
        """Give the shingles of the texts `rows`, a slice without step."""
        starts = self.starts[rows.start : rows.stop + 1]
        return Shingles(self.keys[starts[0] : starts[-1]], starts - starts[0])

    @property
    def sizes(self) -> Rows:
        """How many distinct shingles each text has."""
        return np.diff(self.starts)


def duplicates_fingerprint(snapshot_content: str, threshold: float = THRESHOLD) -> str:
    """Hash what near-duplicates depend on."""
    return fingerprint("duplicates", VERSION, snapshot_content, threshold)


def find_duplicates(
    snapshot: "Snapshot", store: Store, threshold: float = THRESHOLD, progress: Progress = no_progress
) -> DuplicatesRef:
    """Find the near-duplicates of the corpus, or take them from the store."""
    name = duplicates_fingerprint(snapshot.content, threshold)
    stored = store.ref(DuplicatesRef, name)
    if stored is not None:
        return stored
    groups = near_groups(snapshot.documents().select("title", "text", "text_sha256"), threshold, progress)
    with store.staging() as staged:
        np.save(staged / "near_group.npy", groups, allow_pickle=False)
        return store.commit(DuplicatesRef, name, hashlib.sha256(groups.tobytes()).hexdigest(), len(groups), staged)


def open_duplicates(store: Store, ref: DuplicatesRef) -> NDArray[np.uint32]:
    """Give the near-duplicate group of each document, in the order of the snapshot's documents."""
    folder = store.open(ref.kind, ref.fingerprint)
    groups: NDArray[np.uint32] = np.load(folder / "near_group.npy", allow_pickle=False)
    return groups


def near_groups(
    documents: pl.DataFrame, threshold: float = THRESHOLD, progress: Progress = no_progress
) -> NDArray[np.uint32]:
    """Give each of `documents` the row of the first one that it is a near-duplicate of, directly or by a chain.

    `documents` has title, text and text_sha256; equal digests are twins whatever their length.
    """
    first = twins(documents.get_column("text_sha256"))
    distinct = np.flatnonzero(first == np.arange(len(first)))
    shingles = shingle_sets(documents.select("title", "text")[distinct], progress)
    labels = _components(len(distinct), similar_pairs(shingles, threshold))
    groups: NDArray[np.uint32] = distinct[labels][np.searchsorted(distinct, first)].astype(np.uint32)
    return groups


def twins(digests: pl.Series) -> Rows:
    """Give each of `digests` the place of its first equal."""
    frame = pl.DataFrame({"digest": digests, "row": np.arange(len(digests))})
    return frame.select(pl.col("row").min().over("digest")).to_series().to_numpy()


def shingle_sets(documents: pl.DataFrame, progress: Progress = no_progress) -> Shingles:
    """Hash each run of three words of each of `documents`; case, punctuation and white space do not count."""
    keys, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for part in documents.iter_slices(_CHUNK):
        shingles = text_shingles(document_texts(part))
        keys.append(shingles.keys)
        sizes.append(shingles.sizes)
        progress("near-duplicates", min(len(sizes) * _CHUNK - _CHUNK, documents.height), documents.height)
    return Shingles(np.concatenate(keys), _starts(np.concatenate(sizes)))


def text_shingles(texts: pl.Series, run: int = WORDS) -> Shingles:
    """Hash each run of `run` words of each of `texts`; case, punctuation and white space do not count."""
    return word_shingles(split_words([normalise_text(text) for text in texts]), run)


def split_words(normalised: Sequence[str]) -> pl.Series:
    """Give the words of each of the `normalised` texts, as lists."""
    return pl.Series(normalised, dtype=pl.String).str.extract_all(_WORD)


def word_shingles(words: pl.Series, run: int = WORDS) -> Shingles:
    """Hash each run of `run` of the `words` of each text."""
    lengths = words.list.len().to_numpy().astype(np.int64)
    hashes = _word_hashes(words.explode().drop_nulls())
    texts_of = np.repeat(np.arange(len(words)), lengths)
    starts = max(len(hashes) - run + 1, 0)
    whole = np.flatnonzero(texts_of[:starts] == texts_of[run - 1 :][:starts])
    keys = np.zeros(len(whole), np.uint64)
    for offset in range(run):
        keys = mix(keys + hashes[whole + offset])
    return _distinct(keys, texts_of[whole], len(words))


def _word_hashes(words: pl.Series) -> Keys:
    """Hash `words` by their bytes, as the same number on every machine."""
    array = words.to_arrow().cast("large_binary")
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    if not len(array):
        return np.zeros(0, np.uint64)
    data = np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    within = np.arange(len(data)) - np.repeat(starts, np.diff(offsets))
    parts = mix(data.astype(np.uint64) + (within.astype(np.uint64) << np.uint64(8)))
    return mix(np.add.reduceat(parts, starts))


def _distinct(keys: Keys, owners: Rows, count: int) -> Shingles:
    order = np.lexsort((keys, owners))
    keys, owners = keys[order], owners[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    return Shingles(keys[new], _starts(np.bincount(owners[new], minlength=count).astype(np.int64)))


def _starts(sizes: Rows) -> Rows:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def similar_pairs(shingles: Shingles, threshold: float) -> tuple[Rows, Rows]:
    """Give the pairs of texts whose Jaccard similarity is at least `threshold`, as far as buckets were compared."""
    left, right = _meetings(*_buckets(shingles, threshold))
    sizes = shingles.sizes
    short, long = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    possible = short >= threshold * long
    left, right = left[possible], right[possible]
    similar = _jaccard(shingles, left, right) >= threshold - 1e-9
    return left[similar], right[similar]


def _buckets(shingles: Shingles, threshold: float) -> tuple[Keys, Rows]:
    """Give the prefix shingles that more than one text has, sorted, and the text of each."""
    counts = np.zeros(1 << _SKETCH_BITS, np.int64)
    for rows in _slices(len(shingles.sizes), _CHUNK):
        counts += np.bincount(_slots(shingles.take(rows).keys), minlength=len(counts))
    parts = [_prefix(shingles.take(rows), counts, threshold) for rows in _slices(len(shingles.sizes), _CHUNK)]
    keys = np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in parts)])
    texts = np.concatenate([np.zeros(0, np.int64), *(_CHUNK * at + rows for at, (_, rows) in enumerate(parts))])
    # Near-duplicates mostly share their least shingle, so that neighbours in a bucket are likely pairs.
    least = shingles.keys[shingles.starts[texts]]
    order = np.lexsort((texts, least, keys))
    return keys[order], texts[order]


def _slots(keys: Keys) -> Rows:
    """Give the place of each of `keys` in the sketch."""
    # Shingles that collide there are counted together: the order by count is still one order.
    return (keys >> np.uint64(64 - _SKETCH_BITS)).astype(np.int64)


def _prefix(shingles: Shingles, counts: Rows, threshold: float) -> tuple[Keys, Rows]:
    """Give the rarest shingles of each text, enough of them to meet every near-duplicate, and the text of each."""
    sizes = shingles.sizes
    owners = np.repeat(np.arange(len(sizes)), sizes)
    count = counts[_slots(shingles.keys)]
    order = np.lexsort((shingles.keys, count, owners))
    length = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    within = np.arange(len(owners)) - np.repeat(shingles.starts[:-1], sizes)
    chosen = order[(within < np.repeat(length, sizes)) & (count[order] > 1)]
    return shingles.keys[chosen], owners[chosen]


def _meetings(keys: Keys, texts: Rows) -> tuple[Rows, Rows]:
    """Give the distinct pairs of `texts` that are compared: all in a small bucket, neighbours in a large one."""
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    bucket = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    size = np.bincount(bucket, minlength=len(starts))[bucket] if len(keys) else bucket
    row = np.arange(len(keys))
    pairs = [_pack(texts[starts[bucket]], texts)]
    for step in range(1, SMALL):
        near = row[: len(row) - step]
        met = near[(bucket[near] == bucket[near + step]) & ((size[near] <= SMALL) | (step <= NEIGHBOURS))]
        if not len(met):
            break
        pairs.append(_pack(texts[met], texts[met + step]))
    packed = np.unique(np.concatenate(pairs))
    left, right = (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return left[left != right], right[left != right]


def _pack(left: Rows, right: Rows) -> Keys:
    low, high = np.minimum(left, right).astype(np.uint64), np.maximum(left, right).astype(np.uint64)
    packed: Keys = np.unique((low << np.uint64(32)) | high)
    return packed


def _jaccard(shingles: Shingles, left: Rows, right: Rows) -> NDArray[np.float64]:
    """Give the Jaccard similarity of each pair of texts."""
    found = [np.zeros(0)]
    for part in _slices(len(left), _PAIRS):
        texts, places = np.unique(np.concatenate([left[part], right[part]]), return_inverse=True)
        matrix = _matrix(shingles, texts)
        half = len(left[part])
        shared = np.diff(matrix[places[:half]].multiply(matrix[places[half:]]).tocsr().indptr)
        sizes = shingles.sizes[texts]
        found.append(shared / (sizes[places[:half]] + sizes[places[half:]] - shared))
    return np.concatenate(found)


def _matrix(shingles: Shingles, texts: Rows) -> sparse.csr_array:
    """Give the shingles of `texts` as rows of ones."""
    sizes = shingles.sizes[texts]
    starts = _starts(sizes)
    cells = np.arange(starts[-1]) + np.repeat(shingles.starts[texts] - starts[:-1], sizes)
    # 63 bits, since the columns of a sparse matrix are signed.
    columns = (shingles.keys[cells] >> np.uint64(1)).astype(np.int64)
    return sparse.csr_array((np.ones(len(cells), np.int8), columns, starts), shape=(len(texts), (1 << 63) - 1))


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _components(count: int, pairs: tuple[Rows, Rows]) -> Rows:
    """Give each of `count` texts the first text of its connected component."""
    left, right = pairs
    graph = sparse.coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    least = np.full(number, count, np.int64)
    np.minimum.at(least, label, np.arange(count))
    first: Rows = least[label]
    return first
