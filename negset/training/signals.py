"""What a loss learns from beside labels: vectors of a guide, scores of a teacher. Frozen, one for a whole run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from negset.encoders.encoder import Encoder
from negset.errors import ConfigError, ContractError, hint, listed
from negset.fingerprint import fingerprint
from negset.store import write_durably
from negset.training.examples import Examples, Groups, Rows, SetTables, document_rows
from schemas.train import TrainConfig

GUIDE: Final = "guide.safetensors"
"""File of a run's guide vectors, in its folder."""


@dataclass(frozen=True)
class Guide:
    """Vectors of length one by a second encoder, of all queries (Q, G) and documents (N, G) of a run."""

    queries_QG: torch.Tensor
    documents_NG: torch.Tensor
    content: str


@dataclass(frozen=True)
class TeacherScores:
    """Scores of pairs: sorted `keys` (query row times `documents` plus document row) and a value for each."""

    documents: int
    keys: Rows
    values: NDArray[np.float32]

    def of(self, queries_B: Rows, candidates_C: Rows) -> NDArray[np.float32]:
        """Give the score of each query and candidate, (B, C), NaN where the teacher gave none."""
        wanted_BC = queries_B[:, None] * self.documents + candidates_C[None, :]
        if not len(self.keys):
            return np.full(wanted_BC.shape, np.nan, dtype=np.float32)
        place_BC = np.minimum(np.searchsorted(self.keys, wanted_BC), len(self.keys) - 1)
        return np.where(self.keys[place_BC] == wanted_BC, self.values[place_BC], np.float32(np.nan))


@dataclass(frozen=True)
class Taught:
    """How many of a run's `queries` a teacher can teach, and what the others lack.

    A margin needs the score of a positive and that of a negative. A query that lacks both lacks the positive's.
    """

    queries: int
    without_positive: int
    without_negative: int

    @property
    def taught(self) -> int:
        """Count the queries with a score of a positive and of a negative."""
        return self.queries - self.without_positive - self.without_negative

    def numbers(self) -> dict[str, int]:
        """Give everything as plain values."""
        return {
            "queries": self.queries,
            "taught": self.taught,
            "without_positive": self.without_positive,
            "without_negative": self.without_negative,
        }


@dataclass(frozen=True)
class Signals:
    """What is configured beside labels; None where it is not."""

    guide: Guide | None = None
    teacher: TeacherScores | None = None

    def digest(self) -> str:
        """Name all that can change a loss."""
        teacher = hashlib.sha256()
        if self.teacher is not None:
            teacher.update(self.teacher.keys.tobytes())
            teacher.update(self.teacher.values.tobytes())
        return fingerprint(None if self.guide is None else self.guide.content, teacher.hexdigest())


NO_SIGNALS: Final = Signals()


def read_signals(
    tables: SetTables, examples: Examples, config: TrainConfig, guide: Encoder | None, folder: Path
) -> Signals:
    """Give what `config` asks for: vectors of the `guide`, kept in `folder`, and scores of its teacher.

    Raises ConfigError where the teacher can teach no query.
    """
    teacher = teacher_scores(tables, examples, config.teacher) if config.teacher else None
    if teacher is not None:
        _require_taught(count_taught(teacher, examples, config), config)
    return Signals(None if guide is None else guide_vectors(guide, examples, folder), teacher)


def count_taught(teacher: TeacherScores, examples: Examples, config: TrainConfig) -> Taught:
    """Count the queries of which the teacher scored a positive and something that can be its negative in this run.

    These are its own hard negatives, and with in-batch negatives or `remine` every document of the run that is not
    known to be relevant.
    """
    query_K = teacher.keys // max(teacher.documents, 1)
    positive_K = np.isin(teacher.keys, _keys(examples.positives, teacher.documents))
    if config.in_batch or config.remine:
        negative_K = ~positive_K & ~np.isin(teacher.keys, _keys(examples.known, teacher.documents))
    else:
        negative_K = np.isin(teacher.keys, _keys(examples.negatives, teacher.documents))
    positive_Q, negative_Q = (
        np.bincount(query_K[scored_K], minlength=len(examples.query_ids)) > 0 for scored_K in (positive_K, negative_K)
    )
    return Taught(len(positive_Q), int((~positive_Q).sum()), int((positive_Q & ~negative_Q).sum()))


def _keys(groups: Groups, documents: int) -> Rows:
    query, document = groups.take(np.arange(len(groups.offsets) - 1))
    return query * documents + document


def _require_taught(found: Taught, config: TrainConfig) -> None:
    if not found.taught:
        message = (
            f"teacher {config.teacher!r} can teach none of the {found.queries} queries, so the loss {config.loss!r} "
            f"has nothing to learn from it: of {found.without_positive} it scored no positive, of "
            f"{found.without_negative} no negative. Positives are scored in the set's candidates: build it with "
            "publish.keep_candidates = true and a recipe that asks this teacher, or choose another train.teacher"
        )
        raise ConfigError(message)


def guide_vectors(encoder: Encoder, examples: Examples, folder: Path) -> Guide:
    """Give the vectors of all texts of `examples` by `encoder`, read from `folder` where a run left them.

    What is there of another encoder or other texts, or damaged, is made anew: it is a copy and nothing else.
    """
    content = _guide_content(encoder, examples)
    path = folder / GUIDE
    found = _read_guide(path, content)
    if found is not None:
        return found
    queries_QG = encoder.encode(examples.query_texts, examples.query_ids, "query")
    documents_NG = encoder.encode(examples.document_texts, examples.document_ids, "document")
    tensors = {"queries": torch.from_numpy(queries_QG), "documents": torch.from_numpy(documents_NG)}
    write_durably(path, serialise(tensors, {"content": content}))
    return Guide(tensors["queries"], tensors["documents"], content)


def teacher_scores(tables: SetTables, examples: Examples, name: str) -> TeacherScores:
    """Give what the teacher `name` said of the negatives and the candidates of the set, positives among them.

    Of twins, documents of equal text, the larger score counts. Raises ConfigError where nothing of the set has a score
    of that name, saying which there are, and ContractError naming pairs whose score is not finite.
    """
    tellers = [table for table in (tables.negatives, tables.candidates) if "scores" in table.columns]
    scored = pl.concat([_NO_SCORES, *(table.select("query_id", "doc_id", "scores") for table in tellers)])
    said = scored.explode("scores").unnest("scores")
    known = said.get_column("name").drop_nulls().unique().sort().to_list()
    if name not in known:
        message = (
            f"the set has no score {name!r}{hint(name, known)}; it has {listed(known) or 'none'}: see train.teacher"
        )
        raise ConfigError(message)
    pairs = _coded(said.filter(pl.col("name") == name), tables, examples)
    _check_finite(pairs, name)
    pairs = pairs.group_by("key").agg(pl.col("value").max()).sort("key")
    keys, values = pairs.get_column("key").to_numpy(), pairs.get_column("value").to_numpy()
    return TeacherScores(len(examples.document_ids), keys.astype(np.int64), values.astype(np.float32))


_NO_SCORES: Final = pl.DataFrame(
    schema={
        "query_id": pl.String,
        "doc_id": pl.String,
        "scores": pl.List(pl.Struct({"name": pl.String, "value": pl.Float32})),
    }
)


def _coded(said: pl.DataFrame, tables: SetTables, examples: Examples) -> pl.DataFrame:
    queries = pl.DataFrame({"query_id": examples.query_ids}).with_row_index("query")
    documents = document_rows(tables.documents, examples)
    key = pl.col("query").cast(pl.Int64) * len(examples.document_ids) + pl.col("doc").cast(pl.Int64)
    joined = said.join(queries, on="query_id").join(documents, on="doc_id")
    return joined.select("query_id", "doc_id", "value", key=key)


def _check_finite(pairs: pl.DataFrame, name: str) -> None:
    wrong = pairs.filter(~pl.col("value").is_finite().fill_null(value=False)).sort("query_id", "doc_id")
    if wrong.height:
        named = [f"({query}, {document})" for query, document in wrong.select("query_id", "doc_id").head(20).rows()]
        message = f"{wrong.height} scores of teacher {name!r} are not finite: {listed(named)}. Build the set again"
        raise ContractError(message)


def _guide_content(encoder: Encoder, examples: Examples) -> str:
    digest = hashlib.sha256()
    for texts in (examples.query_ids, examples.query_texts, examples.document_ids, examples.document_texts):
        digest.update(_texts_digest(texts))
    return fingerprint("guide", encoder.fingerprint, digest.hexdigest())


def _texts_digest(texts: Sequence[str]) -> bytes:
    digest = hashlib.sha256(f"{len(texts)}".encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.digest()


def _read_guide(path: Path, content: str) -> Guide | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("content") != content:
                return None
            return Guide(file.get_tensor("queries"), file.get_tensor("documents"), content)
    except (OSError, SafetensorError):
        return None
