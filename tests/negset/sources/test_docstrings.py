import subprocess
import sys

import pytest

from negset.errors import InputError
from negset.sources.docstrings import docstrings, installed, source_files
from negset.sources.reading import read_source, source_fingerprint
from schemas.config import SourceConfig

BODY = "The body says a good deal more than forty characters, as bodies do."
MODULE = f'''"""A module with a summary.

{BODY}
"""
import nowhere_to_be_found

def add(a, b):
    """Add two numbers.

    {BODY}
    """

class Thing:
    """Too short.

    {BODY}
    """

    async def run(self):
        """Run this thing
        over two lines.

        {BODY}
        """

if True:
    def add(a, b):
        """Add two other numbers.

        {BODY} Again.
        """

def nothing():
    """Say nothing more than this."""
'''
TREE = {
    "pack/__init__.py": MODULE,
    "pack/tests/test_it.py": MODULE,
    "pack/broken.py": '"""x""" """y"""\ndef (:\n',
    "pack/deep/mod.py": f'def f():\n    """Do one thing.\n\n    {BODY}\n    """\n',
}


def test_docstrings_become_queries_and_documents(files):
    tables = read_source(SourceConfig(format="docstrings", path=files(TREE)))
    assert tables.queries.select("query_id", "text").rows() == [
        ("pack", "A module with a summary."),
        ("pack:add", "Add two numbers."),
        ("pack:Thing.run", "Run this thing over two lines."),
        ("pack:add#2", "Add two other numbers."),
        ("pack.deep.mod:f", "Do one thing."),
    ]
    assert tables.corpus.get_column("doc_id").to_list() == tables.queries.get_column("query_id").to_list()
    assert tables.corpus.get_column("text").to_list() == [BODY, BODY, BODY, f"{BODY} Again.", BODY]
    assert tables.corpus.row(1, named=True)["line"] == 7
    assert tables.notes == {"files that Python cannot parse": 1}
    assert tables.qrels.filter(tables.qrels["query_id"] != tables.qrels["doc_id"]).is_empty()


def test_nothing_is_imported_or_run(files):
    read_source(SourceConfig(format="docstrings", path=files({"bad.py": f'"""Do a thing.\n\n{BODY}\n"""\n1 / 0\n'})))


def test_warnings_of_the_parser_are_its_own_affair():
    assert list(docstrings(b'"""One two three.\n\nA long enough body with a bad escape \\d in it."""\nx = "\\d"\n'))


def test_the_order_does_not_depend_on_the_file_system(files):
    folder = files(TREE)
    names = [file.shown for file in source_files(folder)]
    assert names == sorted(names)
    assert source_fingerprint(SourceConfig(format="docstrings", path=folder)) == source_fingerprint(
        SourceConfig(format="docstrings", path=folder)
    )


def test_the_interpreter_at_hand_is_the_usual_source():
    packages = [package for _, package in installed()]
    assert packages[:2] == ["", "numpy"]
    files = [file.module for _, file in zip(range(400), source_files(""), strict=False)]
    assert "ast" in files
    assert "argparse" in files


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="no folder of Python files"):
        read_source(SourceConfig(format="docstrings", path=str(tmp_path / "no")))


def test_reading_needs_no_heavy_library():
    code = (
        "import sys; from negset.snapshot import build_snapshot; from negset.sources import docstrings, parquet, trec;"
        "print([name for name in ('torch', 'datasets', 'sklearn', 'prefect', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
