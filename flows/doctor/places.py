"""Where things lie: folders and object stores, by writing to them what is removed again."""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flows.doctor.findings import Finding, fail, ok, warn
from negset.errors import ConflictError, EnvironmentFault, NegsetError
from negset.objects.conditions import require_conditions
from negset.objects.objects import Objects
from negset.objects.opening import is_address
from negset.planning import plan_disk
from negset.store import Store, rename_folder, write_durably
from schemas.config import BuildConfig
from tasks.place import Place

POINTER: Final = "DOCTOR/pointer"
"""The object that the doctor swaps; no set can have this name."""
LITTLE_DISK: Final = 2e9
SKEW: Final = 5.0
"""Seconds that two clocks may differ."""
LARGE_SKEW: Final = 300.0
"""Seconds from which on requests to object stores are soon refused."""


def check_home(place: Place) -> Iterator[Finding]:
    """Say whether a worker could use NEGSET_HOME."""
    if place.home.is_absolute():
        yield ok("NEGSET_HOME", str(place.home))
    else:
        yield warn(
            "NEGSET_HOME",
            f"{str(place.home)!r} follows the working directory; a worker of `negset deploy` refuses it",
            f"export NEGSET_HOME={place.home.absolute()}",
        )


def check_folders(place: Place) -> Iterator[Finding]:
    """Try in each folder what publishing relies on: durable writes, renames that replace nothing, locks."""
    folders = {"store": place.open_store().root, "sets": place.sets_folder(), "runs": place.runs_folder()}
    for name, folder in folders.items():
        yield _folder(f"folder of {name}", folder)


def _folder(name: str, folder: Path) -> Finding:
    there = _existing(folder)
    if not there.is_dir():
        return fail(name, f"{there} is a file", "move it away, or set NEGSET_HOME to a folder")
    where = str(folder) if there == folder else f"{folder} is not there yet; tried in {there}"
    try:
        with _scratch(there) as scratch:
            trouble = _try_folder(scratch)
            skew = abs(scratch.stat().st_mtime - time.time())
    except (OSError, NegsetError) as error:
        return fail(
            name, f"{where}: {error}", f"make it writable for this user, or set NEGSET_HOME ({error.__class__})"
        )
    if trouble:
        return fail(name, f"{where}: {trouble}", "use a local disk, or a network file system with flock and rename")
    if skew > SKEW:
        return warn(name, f"{where}: its clock is {skew:.0f} s off", "synchronise the clocks of both (chrony, ntpd)")
    return ok(name, f"{where}: wrote, fsynced, renamed without replacing, locked")


def _try_folder(scratch: Path) -> str:
    """Say what does not work in `scratch`, nothing where all does."""
    write_durably(scratch / "file", b"one\n")
    write_durably(scratch / "file", b"two\n")
    if (scratch / "file").read_bytes() != b"two\n":
        return "a file that was replaced by a rename kept its old content"
    for name in ("staged", "target", "late"):
        (scratch / name).mkdir()
        (scratch / name / "part").write_text(name)
    shutil.rmtree(scratch / "target")
    if not rename_folder(scratch / "staged", scratch / "target"):
        return "a folder could not be renamed"
    if rename_folder(scratch / "late", scratch / "target"):
        return "a rename replaced a folder that was not empty"
    return "" if _locks(scratch / "lock") else "a lock (flock) that is held was given twice"


def _locks(path: Path) -> bool:
    with path.open("a") as first, path.open("a") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return False


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    scratch = folder / f".negset-doctor-{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _existing(folder: Path) -> Path:
    """Give what is there of `folder`: it, or the next above it."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def check_disk(place: Place, config: BuildConfig | None, store: Store | None) -> Iterator[Finding]:
    """Compare free space with what a build of `config` takes, where that is known."""
    needed = plan_disk(config, store) if config and store else None
    seen: set[int] = set()
    for name, folder in (("store", place.open_store().root), ("sets", place.sets_folder())):
        there = _existing(folder)
        if (device := os.stat(there).st_dev) in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        yield _disk(f"disk of {name}", free, needed)


def _disk(name: str, free: float, needed: int | None) -> Finding:
    told = f"{free / 1e9:.1f} GB free"
    mend = "free space, or set NEGSET_HOME to a larger disk"
    if needed is not None and free < needed:
        return fail(name, f"{told}, but cells and vectors of the build take about {needed / 1e9:.1f} GB", mend)
    if free < LITTLE_DISK:
        return warn(name, told, mend)
    known = "" if needed is None else f"; cells and vectors of the build take about {needed / 1e9:.1f} GB"
    return ok(name, f"{told}{known}")


def check_objects(place: Place) -> Iterator[Finding]:
    """Try in each object store the two conditional writes that publishing relies on, and compare its clock."""
    brief = place.model_copy(update={"objects_deadline": min(place.objects_deadline, 20.0)})
    for name, address in (("NEGSET_STORE", place.store), ("NEGSET_SETS", place.sets)):
        if address and is_address(address):
            yield from _objects(name, brief.open_objects(address))


def _objects(name: str, objects: Objects) -> Iterator[Finding]:
    try:
        require_conditions(objects)
        trouble = _try_swap(objects)
        (written,) = [one.written_at for one in objects.listed(POINTER.partition("/")[0]) if one.key == POINTER]
    except EnvironmentFault as error:
        yield fail(name, str(error), "check credentials, the bucket, its rights to get, put and list, and its network")
        return
    if trouble:
        yield fail(name, f"{objects.url}: {trouble}", "use a store with conditional writes (If-Match)")
        return
    yield ok(name, f"{objects.url}: refused to create twice and to replace what had changed; read back and listed")
    yield clock(f"clock of {name}", written.timestamp() - time.time())


def _try_swap(objects: Objects) -> str:
    """Swap a pointer, then try to swap it from what it no longer is; say what went wrong, or nothing."""
    before, new = objects.read(POINTER), uuid.uuid4().hex
    try:
        objects.swap(POINTER, before, new)
    except ConflictError:
        return "" if objects.read(POINTER) != before else "a pointer could not be replaced"
    if objects.read(POINTER) != new:
        return "a pointer that was replaced reads as before"
    try:
        objects.swap(POINTER, before, uuid.uuid4().hex)
    except ConflictError:
        return ""
    return "a pointer was replaced by a write that expected something else"


def clock(name: str, ahead: float) -> Finding:
    """Judge a clock that is `ahead` of this machine's by so many seconds."""
    told = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    mend = "synchronise this machine's clock (chrony, ntpd, timedatectl set-ntp true)"
    if abs(ahead) > LARGE_SKEW:
        return fail(name, told, mend)
    if abs(ahead) > SKEW:
        return warn(name, told, mend)
    return ok(name, f"within {max(abs(ahead), 1):.0f} s of this machine's")
