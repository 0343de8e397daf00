"""Bad input gets one clear line and the right exit code, never a traceback; nothing is published."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.cli import main

pytestmark = pytest.mark.flow

_CONFIG = """\
name = "bad"
[source]
format = "{format}"
path = "source"
{source}
[encoder]
backend = "hashing"
dimensions = 32
{encoder}
[mine]
miners = {miners}
depth = 10
[recipe]
name = "naive"
negatives = 2
{recipe}
"""


@dataclass(frozen=True)
class Case:
    """How to spoil a good source or config, and what must be said of it."""

    spoil: Callable[[Path], None]
    says: str
    code: int = 2
    format: str = "beir"
    source: str = ""
    encoder: str = ""
    recipe: str = ""
    miners: str = '["dense"]'
    set: tuple[str, ...] = ()


def _nothing(source: Path) -> None:
    """Leave the source as it is: the config is what is wrong."""


def _append(name: str, data: bytes) -> Callable[[Path], None]:
    def spoil(source: Path) -> None:
        with (source / name).open("ab") as file:
            file.write(data)

    return spoil


def _cut_gzip(source: Path) -> None:
    data = gzip.compress((source / "corpus.jsonl").read_bytes())
    (source / "corpus.jsonl").unlink()
    (source / "corpus.jsonl.gz").write_bytes(data[: len(data) // 2])


def _remove(name: str) -> Callable[[Path], None]:
    return lambda source: (source / name).unlink()


def _html_parquet(source: Path) -> None:
    _parquet(source)
    (source / "corpus.parquet").write_bytes(b"<html>404 not found</html>" * 10)


def _parquet(source: Path, **renamed: str) -> None:
    documents = {"doc_id": [f"d{n}" for n in range(30)], "text": [f"words of document {n} here" for n in range(30)]}
    queries = {"query_id": ["q0", "q1"], "text": ["words of document", "another one"]}
    qrels = {"query_id": ["q0", "q1"], "doc_id": ["d3", "d4"], "relevance": pl.Series([1, 1], dtype=pl.Int32)}
    for name, columns in (("corpus", documents), ("queries", queries), ("qrels", qrels)):
        frame = pl.DataFrame(columns)
        frame.rename({old: new for old, new in renamed.items() if old in frame.columns}).write_parquet(
            source / f"{name}.parquet"
        )


def _no_text_column(source: Path) -> None:
    _parquet(source, text="body")


def _vectors(rows: int, width: int, poison: float = 0.5) -> Callable[[Path], None]:
    def spoil(source: Path) -> None:
        _parquet(source)
        vectors = np.full((rows, 4), 0.5, dtype=np.float32)
        vectors[min(7, rows - 1), 0] = poison
        ids = [f"d{n}" for n in range(rows)]
        pl.DataFrame({"id": ids, "vector": pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32))}).write_parquet(
            source / "documents-vectors.parquet"
        )
        asked = pl.Series(np.full((2, width), 0.5).tolist(), dtype=pl.List(pl.Float32))
        pl.DataFrame({"id": ["q0", "q1"], "vector": asked}).write_parquet(source / "queries-vectors.parquet")

    return spoil


_PRECOMPUTED = (
    'document_vectors = "{source}/documents-vectors.parquet"\nquery_vectors = "{source}/queries-vectors.parquet"'
)


def _same_documents(source: Path) -> None:
    rows = [json.dumps({"_id": f"d{n:03}", "title": "", "text": "the very same words"}) for n in range(60)]
    (source / "corpus.jsonl").write_text("\n".join(rows))


CASES = {
    "unknown key": Case(_nothing, r"unknown key 'mine\.dept' \(did you mean 'depth'\?\)", set=("mine.dept=3",)),
    "unknown rule": Case(
        _nothing,
        "percent_of_positiv.*did you mean 'percent_of_positive'",
        recipe="[recipe.options.percent_of_positiv]\nshare = 0.9",
        set=("recipe.name=perc-pos",),
    ),
    "unknown recipe": Case(_nothing, r"unknown recipe 'naiv' \(did you mean 'naive'\?\)", set=("recipe.name=naiv",)),
    "option out of range": Case(
        _nothing,
        r"option share is 3",
        recipe="[recipe.options.percent_of_positive]\nshare = 3",
        set=("recipe.name=perc-pos",),
    ),
    "rule without its miner": Case(_nothing, "mine.miners", set=("recipe.name=star",)),
    "basis that does not mine": Case(_nothing, "recipe.by is 'bm25'", set=("recipe.by=bm25",)),
    "no such folder": Case(_nothing, "nowhere", set=("source.path=nowhere",)),
    "no corpus file": Case(_remove("corpus.jsonl"), r"corpus"),
    "no queries file": Case(_remove("queries.jsonl"), r"queries"),
    "broken JSON line": Case(_append("corpus.jsonl", b'{"_id": "x", "text": \n'), r"corpus\.jsonl:61"),
    "invalid UTF-8": Case(_append("corpus.jsonl", b'{"_id": "x", "text": "\xff\xfe"}\n'), r"corpus\.jsonl:61.*UTF-8"),
    "lone surrogate": Case(
        _append("corpus.jsonl", b'{"_id": "x", "text": "\\ud800"}\n'), r"corpus\.jsonl:61.*surrogate"
    ),
    "duplicate id, other text": Case(
        _append("corpus.jsonl", b'{"_id": "d003", "title": "", "text": "other"}\n'), r"d003"
    ),
    "truncated gzip": Case(_cut_gzip, r"corpus\.jsonl\.gz"),
    "qrels of two columns": Case(_append("qrels/train.tsv", b"q01\td001\n"), r"train\.tsv:18"),
    "relevance that is no integer": Case(_append("qrels/train.tsv", b"q01\td001\thigh\n"), r"train\.tsv:18.*high"),
    "qrels to a missing document": Case(_append("qrels/train.tsv", b"q01\tnowhere\t1\n"), r"nowhere"),
    "unknown split": Case(_nothing, r"trian", set=('mine.splits=["trian"]',)),
    "missing column": Case(_no_text_column, r"text.*body", format="parquet"),
    "HTML in place of Parquet": Case(_html_parquet, r"corpus\.parquet", format="parquet"),
    "NaN vector": Case(
        _vectors(30, 4, float("nan")),
        r"d7",
        code=3,
        format="parquet",
        encoder=_PRECOMPUTED,
        set=("encoder.backend=precomputed",),
    ),
    "missing vectors": Case(
        _vectors(20, 4), r"d20", format="parquet", encoder=_PRECOMPUTED, set=("encoder.backend=precomputed",)
    ),
    "vectors of two widths": Case(
        _vectors(30, 5), r"4.*5|5.*4", format="parquet", encoder=_PRECOMPUTED, set=("encoder.backend=precomputed",)
    ),
    "no such model": Case(
        _nothing, r"no-such-model", set=("encoder.backend=sentence-transformers", "encoder.model=./no-such-model")
    ),
    "every document the same": Case(
        _same_documents, r"negatives_present|had no negatives|nothing was published", code=3
    ),
    "margin that nothing passes": Case(
        _nothing,
        r"nothing was published",
        code=3,
        recipe="[recipe.options.max_score]\nthreshold = -1.0",
        set=("recipe.name=abs",),
    ),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], Path]:
    monkeypatch.chdir(tmp_path)

    def write(case: Case) -> Path:
        source = tmp_path / "source"
        if case.format == "beir":
            _beir(source)
        else:
            source.mkdir()
        case.spoil(source)
        path = tmp_path / "bad.toml"
        encoder = case.encoder.format(source=source)
        path.write_text(
            _CONFIG.format(
                format=case.format, source=case.source, encoder=encoder, recipe=case.recipe, miners=case.miners
            )
        )
        return path

    return write


def _beir(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{n:03}", "title": "", "text": f"words about subject {n % 9} and number {n}"} for n in range(60)
    ]
    queries = [{"_id": f"q{n:02}", "text": f"subject {n % 9} number {n} please"} for n in range(16)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = "".join(f"q{n:02}\td{n:03}\t1\n" for n in range(16))
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_line(name, written, home, prefect_server, capfd):
    case = CASES[name]
    path = written(case)
    changes = [argument for item in case.set for argument in ("--set", item)]
    code = main(["build", str(path), *changes])
    said = capfd.readouterr().err.strip().splitlines()
    assert code == case.code, said
    assert not any("Traceback" in line for line in said), said
    assert len(said) == 1, said
    assert said[0].startswith("negset build: ")
    assert re.search(case.says, said[0]), said[0]
    assert not list(home.glob("sets/*/LATEST"))
