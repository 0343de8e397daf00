"""Damage a published version in many ways, one at a time, and count what each way of checking it finds.

    python -m benchmarks.verify_mutations VERSION [--mutations 2000] [--seed 7] [--bagit bagit.py]

VERSION is the folder of a version inside of its set (`.../versions/<id>`); it is copied first. Checked by
`negset verify` (its core, in this process), by `sha256sum --check` on both lists, and by bagit.py where there is one.
The last line is JSON: for each kind of damage how many there were and how many each way found; `named` counts those
for which negset names a file that was damaged. A forger who changes a paper (README.md, report.html, ...) and mends the
bag's list of papers is not among them: papers say who published and when, so they are no part of the version's id, and
only a signature can vouch for them.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from negset.errors import NegsetError
from negset.publishing import bag
from negset.publishing.verify import inspect_version
from negset.store import MANIFEST

Files = dict[str, bytes]
"""The files of a version, by path."""
Damage = Callable[[Files, random.Random], set[str]]
"""Changes the files in place; gives the paths that are at fault."""


def flip(files: Files, draw: random.Random) -> set[str]:
    """Flip one bit of one file."""
    name = _pick(files, draw)
    data = bytearray(files[name])
    place = draw.randrange(len(data))
    data[place] ^= 1 << draw.randrange(8)
    files[name] = bytes(data)
    return {name}


def flip_bag(files: Files, draw: random.Random) -> set[str]:
    """Flip one bit of one of the bag's own files, or of the manifest."""
    name = draw.choice([bag.PAYLOAD, bag.TAGS, bag.INFO, bag.DECLARATION, MANIFEST])
    own = {name: files[name]}
    flip(own, draw)
    files[name] = own[name]
    return {name}


def truncate(files: Files, draw: random.Random) -> set[str]:
    """Cut the end off a file, perhaps all of it."""
    name = _pick(files, draw)
    files[name] = files[name][: draw.randrange(len(files[name]))]
    return {name}


def grow(files: Files, draw: random.Random) -> set[str]:
    """Append to a file: a line break, a zero byte, or its own end once more."""
    name = _pick(files, draw)
    files[name] += draw.choice([b"\n", b"\0", b" ", files[name][-16:]])
    return {name}


def zero(files: Files, draw: random.Random) -> set[str]:
    """Let a block of a file be zeros, as a disk that lost a sector does."""
    name = _pick(files, draw)
    data = files[name]
    start = draw.randrange(len(data))
    end = min(len(data), start + draw.choice([1, 16, 512]))
    if not any(data[start:end]):
        return flip(files, draw)
    files[name] = data[:start] + bytes(end - start) + data[end:]
    return {name}


def extra(files: Files, draw: random.Random) -> set[str]:
    """Add a file, empty or not, hidden or not, in a folder that is there or a new one."""
    folders = sorted({str(Path(name).parent) for name in files} | {"data/new", "more"})
    name = draw.choice([".hidden", "notes.txt", "part-00009.parquet", "part-00000.parquet~", "manifest-md5.txt"])
    path = (Path(draw.choice(folders)) / name).as_posix()
    files[path] = draw.choice([b"", b"more", next(iter(files.values()))])
    return {path}


def missing(files: Files, draw: random.Random) -> set[str]:
    """Remove a file."""
    name = _pick(files, draw)
    del files[name]
    return {name}


def rename(files: Files, draw: random.Random) -> set[str]:
    """Give a file another name: one letter in the other case, or a new ending."""
    name = _pick(files, draw)
    place = draw.choice([at for at, letter in enumerate(name) if letter.isalpha()])
    other = draw.choice([name[:place] + name[place].swapcase() + name[place + 1 :], f"{name}.bak"])
    files[other] = files.pop(name)
    return {name, other}


def swap(files: Files, draw: random.Random) -> set[str]:
    """Exchange the contents of two files that differ."""
    one = _pick(files, draw)
    other = _pick({name: data for name, data in files.items() if data != files[one]}, draw)
    files[one], files[other] = files[other], files[one]
    return {one, other}


def edit_manifest(files: Files, draw: random.Random) -> set[str]:
    """Change one number or text of the manifest, and mend the digest in the bag's list of papers."""
    files[MANIFEST] = _edited(files[MANIFEST], draw)
    _mend(files, bag.TAGS, MANIFEST)
    return {MANIFEST, bag.INFO}


def respace_manifest(files: Files, draw: random.Random) -> set[str]:
    """Write the manifest with other spaces, keys in another order or twice; the values are the same."""
    plain = json.loads(files[MANIFEST])
    if draw.random() < 0.5:
        written = json.dumps(plain, indent=draw.choice([None, 2]))
    else:
        written = json.dumps(dict(reversed(plain.items())), indent=1, ensure_ascii=False) + "\n"
    files[MANIFEST] = written.encode()
    _mend(files, bag.TAGS, MANIFEST)
    return {MANIFEST, bag.INFO}


def forge_data(files: Files, draw: random.Random) -> set[str]:
    """Damage a data file and mend its digest in the bag's lists, not in the manifest."""
    name = _pick({name: data for name, data in files.items() if name.startswith("data/")}, draw)
    own = {name: files[name]}
    draw.choice([flip, truncate, grow])(own, draw)
    files[name] = own[name]
    _mend(files, bag.PAYLOAD, name)
    _mend(files, bag.TAGS, bag.PAYLOAD)
    return {name}


def forge_extra(files: Files, draw: random.Random) -> set[str]:
    """Add a data file and list it in the bag, as if it belonged there; a copy of another, or anything."""
    name = _pick({name: data for name, data in files.items() if name.startswith("data/")}, draw)
    path = f"{Path(name).parent.as_posix()}/part-0000{draw.randrange(1, 9)}.parquet"
    files[path] = draw.choice([files[name], b"more"])
    _mend(files, bag.PAYLOAD, path)
    _mend(files, bag.TAGS, bag.PAYLOAD)
    return {path}


def forge_all(files: Files, draw: random.Random) -> set[str]:
    """Damage a data file and mend every digest of it, the manifest's and the bag's name for the version too."""
    name = _pick({name: data for name, data in files.items() if name.startswith("data/")}, draw)
    before = sha256(files[name]).hexdigest()
    own = {name: files[name]}
    draw.choice([flip, grow])(own, draw)
    files[name] = own[name]
    identity = sha256(files[MANIFEST]).hexdigest()[:16]
    files[MANIFEST] = files[MANIFEST].replace(before.encode(), sha256(files[name]).hexdigest().encode())
    files[bag.INFO] = files[bag.INFO].replace(identity.encode(), sha256(files[MANIFEST]).hexdigest()[:16].encode())
    _mend(files, bag.PAYLOAD, name)
    for paper in (bag.PAYLOAD, bag.INFO, MANIFEST):
        _mend(files, bag.TAGS, paper)
    return {MANIFEST, name}


def reorder(files: Files, draw: random.Random) -> set[str]:
    """Exchange two lines of one of the bag's lists, or write one twice."""
    name = draw.choice([bag.PAYLOAD, bag.TAGS])
    lines = files[name].splitlines(keepends=True)
    place = draw.randrange(len(lines) - 1)
    again = [lines[place], lines[place]] if draw.random() < 0.5 else [lines[place + 1], lines[place]]
    files[name] = b"".join([*lines[:place], *again, *lines[place + 2 :]])
    return {name, *(line.split(b"  ", 1)[1].strip().decode() for line in lines[place : place + 2])}


DAMAGES: Mapping[str, Damage] = {
    one.__name__: one
    for one in (
        flip,
        flip_bag,
        truncate,
        grow,
        zero,
        extra,
        missing,
        rename,
        swap,
        edit_manifest,
        respace_manifest,
        forge_data,
        forge_extra,
        forge_all,
        reorder,
    )
}


def read_files(folder: Path) -> Files:
    """Read every file of the version in `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def damaged(folder: Path, sound: Files, kind: str, seed: int) -> Iterator[set[str]]:
    """Damage the version in `folder`, whose files are `sound`, while the block runs; give the paths at fault."""
    files = dict(sound)
    at_fault = DAMAGES[kind](files, random.Random(f"{kind} {seed}"))
    touched = sorted(name for name in {*files, *sound} if files.get(name) != sound.get(name))
    assert touched, f"{kind} {seed} damaged nothing"
    try:
        for name in touched:
            _put(folder, name, files.get(name))
        yield at_fault
    finally:
        for name in touched:
            _put(folder, name, sound.get(name))
        for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            if not any(path.iterdir()):
                path.rmdir()


def negset_finds(folder: Path, at_fault: set[str]) -> tuple[bool, bool]:
    """Say whether `negset verify` finds fault with `folder`, and whether it names one of the paths `at_fault`."""
    try:
        report = inspect_version(folder, rows=True)
    except NegsetError as error:
        return True, any(name in str(error) for name in at_fault)
    said = {finding.path for finding in report.findings} | {f"{finding.problem}" for finding in report.findings}
    return bool(report.findings), any(name in text for name in at_fault for text in said)


def sha256sum_finds(folder: Path) -> bool:
    """Say whether coreutils find fault with the two lists in `folder`."""
    lists = [bag.PAYLOAD, bag.TAGS]
    command = ["sha256sum", "--check", "--quiet", "--strict", *lists]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0


def bagit_finds(folder: Path, program: Sequence[str]) -> bool:
    """Say whether bagit.py finds fault with the bag in `folder`."""
    command = [*program, "--validate", "--quiet", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def main() -> None:
    """Damage the version many times and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bagit", default="", help="program, e.g. bagit.py; default: what the path has")
    options = parser.parse_args()
    program = [options.bagit] if options.bagit else [one for one in [shutil.which("bagit.py")] if one]
    kinds, found = sorted(DAMAGES), Counter[str]()
    escaped = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "versions" / options.version.name
        shutil.copytree(options.version, folder)
        sound = read_files(folder)
        assert not inspect_version(folder, rows=True).findings, "the version is damaged before anything was done"
        for number in range(options.mutations):
            kind, seed = kinds[number % len(kinds)], options.seed + number
            with damaged(folder, sound, kind, seed) as at_fault:
                seen, named = negset_finds(folder, at_fault)
                found.update({f"{kind} n": 1, f"{kind} negset": seen, f"{kind} named": named})
                found[f"{kind} sha256sum"] += sha256sum_finds(folder)
                found[f"{kind} bagit"] += bagit_finds(folder, program) if program else 0
                if not (seen and named):
                    escaped.append({"kind": kind, "seed": seed, "found": seen, "at_fault": sorted(at_fault)})
        assert read_files(folder) == sound
    ways = ["n", "negset", "named", "sha256sum", *(["bagit"] if program else [])]
    table = {kind: {way: found[f"{kind} {way}"] for way in ways} for kind in kinds}
    total = {way: sum(row[way] for row in table.values()) for way in ways}
    for one in escaped[:20]:
        print(one, file=sys.stderr)
    print(json.dumps({"total": total, "kinds": table}))


def _pick(files: Mapping[str, bytes], draw: random.Random) -> str:
    return draw.choice(sorted(name for name, data in files.items() if data))


def _edited(manifest: bytes, draw: random.Random) -> bytes:
    places = [at for at, letter in enumerate(manifest) if chr(letter).isdigit()]
    place = draw.choice(places)
    other = str((int(chr(manifest[place])) + draw.randrange(1, 9)) % 9 + 1).encode()
    other = other if other != manifest[place : place + 1] else b"7" if other != b"7" else b"3"
    return manifest[:place] + other + manifest[place + 1 :]


def _mend(files: Files, name: str, of: str) -> None:
    """Write the present digest of the file `of` into the bag's list `name`."""
    listed = dict(line.split("  ", 1)[::-1] for line in files[name].decode().splitlines())
    files[name] = bag.digest_lines({**listed, of: sha256(files[of]).hexdigest()}).encode()


def _put(folder: Path, name: str, data: bytes | None) -> None:
    path = folder / name
    if data is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
