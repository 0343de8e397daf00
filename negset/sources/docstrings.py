"""The demo's source: docstrings of the Python packages at hand, read from their source and never imported.

A query is a docstring's summary (its first paragraph), its positive the rest. Documents are all the rests, so
aliases and copied docstrings are real twins. With no path the standard library and the packages of `PACKAGES`
that are installed are read, in that order, until `ENOUGH` bytes of source were met; else the folder named.
"""

import ast
import hashlib
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from negset.errors import InputError
from negset.sources.intake import Intake, new_intake
from negset.sources.tables import SourceTables
from negset.sources.values import metadata_of
from schemas.config import SourceConfig

PACKAGES: Final = (
    "numpy",
    "scipy",
    "sklearn",
    "polars",
    "pyarrow",
    "pandas",
    "networkx",
    "sqlalchemy",
    "prefect",
    "pydantic",
    "great_expectations",
    "sympy",
    "torch",
)
ENOUGH: Final = 45_000_000
"""Bytes of source after which no further package is read: some 14,000 documents, 11 s on one core."""
MIN_BODY: Final = 40
"""Characters in a body, below which it says nothing."""
MIN_SUMMARY: Final = 3
"""Words in a summary, below which it asks nothing."""
_SKIPPED: Final = frozenset(("tests", "test", "testing", "idle_test", "site-packages", "dist-packages", "__pycache__"))
_QUOTES: Final = (b'"""', b"'''")

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Docstring(NamedTuple):
    """A docstring cut in two, with the dotted name of what it describes and the line that defines it."""

    name: str
    kind: str
    line: int
    summary: str
    body: str


class SourceFile(NamedTuple):
    """A Python file, the dotted name of its module, and its path below the folder it was found in."""

    path: Path
    module: str
    shown: str


def read(source: SourceConfig) -> SourceTables:
    """Read the docstrings; a file that Python cannot parse is passed over and counted."""
    intake = new_intake(source)
    for file in source_files(source.path):
        raw = _bytes(file)
        if not any(raw.count(quote) > 1 for quote in _QUOTES):
            continue
        try:
            found = list(docstrings(raw))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            intake.note("files that Python cannot parse")
            continue
        _add(file, found, intake)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    return {
        f"{file.module}:{file.shown}": hashlib.sha256(_bytes(file)).hexdigest() for file in source_files(source.path)
    }


def source_files(path: str) -> Iterator[SourceFile]:
    """Yield the Python files to read, in a fixed order: below `path`, or of the interpreter where it is empty."""
    if path:
        folder = Path(path).expanduser()
        if not folder.is_dir():
            message = f"source.path {path!r} is no folder of Python files; leave it empty for the installed packages"
            raise InputError(message)
        yield from _files_below(folder, "")
        return
    met = 0
    for folder, package in installed():
        if met >= ENOUGH:
            return
        for file in _files_below(folder, package):
            met += file.path.stat().st_size
            yield file


def installed() -> Iterator[tuple[Path, str]]:
    """Yield the folder of the standard library, then of each of `PACKAGES` that is installed, with its name."""
    paths = sysconfig.get_paths()
    yield Path(paths["stdlib"]), ""
    places = sorted({paths["purelib"], paths["platlib"]})
    for package in PACKAGES:
        found = next((Path(place) / package for place in places if (Path(place) / package).is_dir()), None)
        if found is not None:
            yield found, package


def _bytes(file: SourceFile) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        message = f"{file.path} cannot be read: {error.strerror}. Mend its permissions, or name another source.path"
        raise InputError(message) from error


def _files_below(folder: Path, package: str) -> Iterator[SourceFile]:
    found = []
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder)
        if not _SKIPPED.intersection(inside.parts[:-1]) and path.is_file():
            parts = [package, *inside.with_suffix("").parts] if package else list(inside.with_suffix("").parts)
            module = ".".join(parts).removesuffix(".__init__")
            found.append(SourceFile(path, module, "/".join((package, inside.as_posix())).lstrip("/")))
    yield from sorted(found, key=lambda file: file.shown)


def docstrings(raw: bytes) -> Iterator[Docstring]:
    """Yield the usable docstrings in the `raw` source of a module, in the order of their lines.

    Raises SyntaxError or ValueError where the source is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = ast.parse(raw)
    yield from _described(module, "", "module", 1)
    yield from _inside(module.body, "")


def _inside(body: list[ast.stmt], prefix: str) -> Iterator[Docstring]:
    for node in body:
        if isinstance(node, Documented):
            name = f"{prefix}{node.name}"
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield from _described(node, name, kind, node.lineno)
            if isinstance(node, ast.ClassDef):
                yield from _inside(node.body, f"{name}.")
        elif isinstance(node, ast.If | ast.Try):
            handlers = [each for handler in getattr(node, "handlers", []) for each in handler.body]
            yield from _inside([*node.body, *handlers, *node.orelse], prefix)


def _described(node: ast.Module | Documented, name: str, kind: str, line: int) -> Iterator[Docstring]:
    text = ast.get_docstring(node)
    if not text:
        return
    head, _, body = text.partition("\n\n")
    summary = " ".join(head.split())
    usable = not any("\0" in part or _surrogate(part) for part in (summary, body))
    if usable and len(summary.split()) >= MIN_SUMMARY and len(body.strip()) >= MIN_BODY:
        yield Docstring(name, kind, line, summary, body.strip())


def _surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else False


def _add(file: SourceFile, found: list[Docstring], intake: Intake) -> None:
    """Put the docstrings of one file into `intake`; a name met again gets the number of its appearance."""
    met: dict[str, int] = {}
    for docstring in found:
        intake.bad.rows_read += 1
        times = met[docstring.name] = met.get(docstring.name, 0) + 1
        place = f"{file.module}:{docstring.name}" if docstring.name else file.module
        key = place if times == 1 else f"{place}#{times}"
        about = metadata_of({"kind": docstring.kind, "file": file.shown, "line": docstring.line})
        where = (file.shown, docstring.line)
        intake.corpus.add((key, None, docstring.body, None, about, *where))
        intake.queries.add((key, docstring.summary, None, None, None, *where))
        intake.qrels.add((key, key, 1, None, *where))
