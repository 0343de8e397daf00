"""The documents of a ledger: ids in memory, texts on disk.

Scoring a pair that a miner did not propose takes the document's text. The texts that may be asked for are written
to one uncompressed Arrow file, a batch for each partition, and mapped: what is read of them is what a block asks
for, and the corpus is never in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from negset.arrays import Rows
from negset.mining.miner import Documents, MiningInputs
from negset.mining.positives import doc_ids
from negset.mining.times import FIRST
from negset.text import document_texts

_FILE: Final = "texts.arrow"
_SCHEMA: Final = pa.schema([("text", pa.large_string())])


@dataclass(frozen=True)
class LedgerDocuments:
    """All documents by row: their ids, the rows of each partition, and where the text of each row lies.

    `texts` are the mapped batches, `place_N` the place of each document in all of them together.
    """

    ids: pl.Series
    rows: Mapping[str, Rows]
    texts: Sequence[pa.Array]
    place_N: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, row_U: Rows) -> Documents:
        """Give the documents of the rows `row_U`, which ascend, with their texts."""
        created = np.full(len(row_U), FIRST, dtype=np.int64)  # scoring a pair asks no time
        return Documents(self.ids.gather(row_U), self._texts(row_U), row_U, created)

    def _texts(self, row_U: Rows) -> pl.Series:
        order_U = np.argsort(self.place_N[row_U])
        place_U = self.place_N[row_U][order_U]
        ends = np.cumsum([len(batch) for batch in self.texts])
        parts = [pl.Series("text", [], dtype=pl.String)]
        for batch, end in zip(self.texts, ends.tolist(), strict=True):
            first, last = np.searchsorted(place_U, [end - len(batch), end])
            parts.append(pl.Series("text", batch.take(pa.array(place_U[first:last] - (end - len(batch))))))
        return pl.concat(parts).gather(np.argsort(order_U))


def open_documents(inputs: MiningInputs, labelled: Rows, folder: Path, *, all_texts: bool = False) -> LedgerDocuments:
    """Read ids, and put the texts that scoring may ask for into `folder`, or `all_texts` there are.

    A miner that stands alone has scored what it proposed; only the documents of the rows `labelled`, which it may
    have missed, are scored without it.
    """
    ids = doc_ids(inputs.snapshot)
    if all_texts:
        wanted = ids
    elif "dense" not in inputs.config.miners:
        wanted = ids.clear()
    else:
        wanted = ids.gather(np.unique(labelled)) if len(set(inputs.config.miners)) == 1 else ids
    rows: dict[str, Rows] = {}
    with pa.OSFile(str(folder / _FILE), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as file:
        for name in inputs.snapshot.partitions():
            documents = inputs.snapshot.documents(name)
            rows[name] = _rows_of(documents.get_column("doc_id"), ids)
            file.write_batch(_texts(documents, wanted))
    place_N = np.argsort(np.concatenate([np.empty(0, np.int64), *rows.values()]))
    return LedgerDocuments(ids, rows, _mapped(folder / _FILE), place_N)


def _rows_of(part: pl.Series, ids: pl.Series) -> Rows:
    """Give the place of each id of `part` in `ids`; both ascend."""
    if len(part) == len(ids):
        return np.arange(len(ids), dtype=np.int64)
    return np.asarray(ids.search_sorted(part).to_numpy().astype(np.int64))


def _texts(documents: pl.DataFrame, wanted: pl.Series) -> pa.RecordBatch:
    """Give the text of each of `documents` that is `wanted`, an empty one for the others."""
    asked_N = documents.get_column("doc_id").is_in(wanted.implode()).to_numpy()
    texts = document_texts(documents.filter(asked_N)).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    # Texts that are left out have no length, so that the others' bytes are those of all of them.
    ends_N = np.zeros(len(documents) + 1, dtype=np.int64)
    ends_N[1:][asked_N] = pc.binary_length(texts).to_numpy()
    ends_N.cumsum(out=ends_N)
    batch = pa.LargeStringArray.from_buffers(len(documents), pa.py_buffer(ends_N), texts.buffers()[2])
    return pa.record_batch([batch], schema=_SCHEMA)


def _mapped(path: Path) -> list[pa.Array]:
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        return [reader.get_batch(number).column(0) for number in range(reader.num_record_batches)]
