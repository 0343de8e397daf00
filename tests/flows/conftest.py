"""A small collection in the BEIR layout."""

import json
import random
from pathlib import Path

import pytest

WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch marsh north oxbow".split()


def write_beir(folder: Path, documents: int = 60, queries: int = 24) -> Path:
    """Write a collection whose queries share two words with their positive; every third query is in `test`."""
    draw = random.Random(5)
    texts = {f"d{place:03}": " ".join(draw.choices(WORDS, k=12)) + f" item{place}" for place in range(documents)}
    asked = {f"q{place:02}": f"d{place * 2:03}" for place in range(queries)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qrels").mkdir(exist_ok=True)
    _write_jsonl(folder / "corpus.jsonl", [{"_id": key, "title": "", "text": text} for key, text in texts.items()])
    spoken = {key: " ".join(texts[doc].split()[2:7]) + f" ask{key}" for key, doc in asked.items()}
    _write_jsonl(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in spoken.items()])
    for split, members in (
        ("train", [q for q in asked if int(q[1:]) % 3]),
        ("test", [q for q in asked if not int(q[1:]) % 3]),
    ):
        rows = "".join(f"{query}\t{asked[query]}\t1\n" for query in members)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def _write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Give a small collection in the BEIR layout."""
    return write_beir(tmp_path / "beir")


@pytest.fixture
def build_file(tmp_path: Path, beir: Path) -> Path:
    """Give a build file for the small collection."""
    path = tmp_path / "build.toml"
    path.write_text(
        'name = "small"\n[source]\nformat = "beir"\npath = "beir"\n[encoder]\ndimensions = 16\n'
        '[mine]\nminers = ["dense", "bm25"]\ndepth = 20\nsplits = ["train"]\n[recipe]\nname = "naive"\nnegatives = 3\n'
    )
    return path
