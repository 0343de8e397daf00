"""Damage a published version in many ways and see that `negset verify` and stock tools find each, naming the file.

    python -m benchmarks.verify_mutations SET [--mutations 2000] [--seed 1] [--json FILE]

SET is the folder of a set or of a version; it is copied and left alone. Each mutation is made in the copy, looked at
by `negset verify`'s check, by `sha256sum --check --strict` and, where installed, by the reader of bags (`bagit`),
and undone. The last line is one JSON object. Exit code 1 if negset missed one or did not name its file, or the stock
tools together missed one that changes what a file means.
"""

import argparse
import json
import logging
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from negset.errors import ArtifactError
from negset.publishing.bag import PAYLOAD, TAGS
from negset.publishing.reading import resolve_version
from negset.publishing.verify import inspect_version


@dataclass(frozen=True)
class Mutation:
    """What was done to which files, and how to undo it."""

    kind: str
    names: tuple[str, ...]
    undo: Callable[[], object]
    same_meaning: bool = False
    """Whether stock tools read the same digests from the file: a digit a-f in a list of digests became A-F."""


def main() -> None:
    """Mutate, look, undo, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="folder of a set or of one version")
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write the result there too")
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # bagit logs what it also raises
    with tempfile.TemporaryDirectory() as scratch:
        source = resolve_version(Path(options.set))
        folder = Path(scratch) / source.name
        shutil.copytree(source, folder)
        result = measure(folder, options.mutations, options.seed)
    line = json.dumps(result)
    if options.json:
        Path(options.json).write_text(line + "\n", encoding="utf-8")
    print(line)
    sys.exit(1 if result["missed"] or result["unnamed"] or result["missed_by_stock"] else 0)


def measure(folder: Path, mutations: int, seed: int) -> dict[str, object]:
    """Mutate the version in `folder` so many times; give what was found, and the time of one check."""
    draw = random.Random(seed)
    kinds: Counter[str] = Counter()
    missed, unnamed, stock, same, seconds = [], [], [], 0, 0.0
    for number in range(mutations):
        made = mutate(folder, draw)
        kinds[made.kind] += 1
        start = time.perf_counter()
        said = negset_finds(folder)
        seconds += time.perf_counter() - start
        told = f"{number}: {made.kind} {' '.join(made.names)}"
        missed += [] if said else [told]
        # Without the list of papers nobody can say which paper is another's.
        names = (TAGS,) if TAGS in made.names else made.names
        unnamed += [] if not said or all(name in said for name in names) else [told]
        same += made.same_meaning
        stock += [] if made.same_meaning or stock_finds(folder) else [told]
        made.undo()
    clean = negset_finds(folder)
    return {
        "mutations": mutations,
        "kinds": dict(sorted(kinds.items())),
        "missed": missed,
        "unnamed": unnamed,
        "missed_by_stock": stock,
        "same_meaning_to_stock": same,
        "bagit": find_spec("bagit") is not None,
        "clean_afterwards": not clean,
        "check_ms": round(1000 * seconds / max(mutations, 1), 1),
    }


def negset_finds(folder: Path) -> str:
    """Say what negset's check finds in `folder`; empty for a sound version."""
    try:
        return " ".join(f"{finding.path}: {finding.problem}" for finding in inspect_version(folder).findings)
    except ArtifactError as error:
        return str(error)


def stock_finds(folder: Path) -> bool:
    """Tell whether `sha256sum` or the reader of bags refuses `folder`."""
    command = ["sha256sum", "--check", "--quiet", "--strict", PAYLOAD, TAGS]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
        return True
    if find_spec("bagit") is None:
        return False
    import bagit

    try:
        bagit.Bag(str(folder)).validate()
    except bagit.BagError:
        return True
    return False


def mutate(folder: Path, draw: random.Random) -> Mutation:
    """Do one thing to `folder`: most often flip a bit, else cut, lengthen, empty, remove, swap, link or add a file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kind = draw.choices(list(_MUTATORS), weights=[weight for weight, _ in _MUTATORS.values()])[0]
    return _MUTATORS[kind][1](kind, folder, draw.choice(files), draw)


def _rewrite(kind: str, folder: Path, path: Path, data: bytes) -> Mutation:
    before, name = path.read_bytes(), path.relative_to(folder).as_posix()
    path.write_bytes(data)
    lists = name in (PAYLOAD, TAGS)
    same = lists and data != before and data.lower() == before.lower() and _hex_only(before, data)
    # The list of papers is in no list itself; that of the data is, so its digest gives it away.
    return Mutation(kind, (name,), lambda: path.write_bytes(before), same_meaning=same and name == TAGS)


def _hex_only(before: bytes, after: bytes) -> bool:
    changed = [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    starts = [before.rfind(b"\n", 0, place) + 1 for place in changed]
    return all(place - start < 64 for place, start in zip(changed, starts, strict=True))


def _flip(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    data = bytearray(path.read_bytes())
    place = draw.randrange(len(data))
    data[place] ^= 1 << draw.randrange(8)
    return _rewrite(kind, folder, path, bytes(data))


def _cut(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    data = path.read_bytes()
    return _rewrite(kind, folder, path, data[: draw.randrange(len(data))])


def _lengthen(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    return _rewrite(kind, folder, path, path.read_bytes() + draw.randbytes(draw.randint(1, 64)))


def _overwrite(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    """Replace a run of bytes by others, as a bad block does."""
    data = path.read_bytes()
    start = draw.randrange(len(data))
    length = min(draw.randint(1, 512), len(data) - start)
    other = bytes(byte ^ draw.randint(1, 255) for byte in data[start : start + length])
    return _rewrite(kind, folder, path, data[:start] + other + data[start + length :])


def _remove(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    data = path.read_bytes()
    path.unlink()
    return Mutation(kind, (path.relative_to(folder).as_posix(),), lambda: path.write_bytes(data))


def _add(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    """Add a copy of a file beside it; below data/, since stock tools look for more files only there."""
    place = draw.choice(sorted((folder / "data").rglob("*.parquet"))).with_name(f"more-{draw.randrange(10**6)}.parquet")
    shutil.copyfile(path, place)
    return Mutation(kind, (place.relative_to(folder).as_posix(),), place.unlink)


def _swap(kind: str, folder: Path, path: Path, draw: random.Random) -> Mutation:
    others = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.read_bytes() != path.read_bytes()]
    other = draw.choice(others)
    one_data, other_data = path.read_bytes(), other.read_bytes()
    path.write_bytes(other_data)
    other.write_bytes(one_data)

    def undo() -> None:
        path.write_bytes(one_data)
        other.write_bytes(other_data)

    return Mutation(kind, tuple(one.relative_to(folder).as_posix() for one in (path, other)), undo)


_Mutator = Callable[[str, Path, Path, random.Random], Mutation]
_MUTATORS: dict[str, tuple[int, _Mutator]] = {
    "flip": (60, _flip),
    "overwrite": (10, _overwrite),
    "cut": (10, _cut),
    "lengthen": (5, _lengthen),
    "remove": (5, _remove),
    "add": (5, _add),
    "swap": (5, _swap),
}
"""Kind of mutation to how often it is drawn, and what it does."""

if __name__ == "__main__":
    main()
