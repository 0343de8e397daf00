"""`negset doctor [CONFIG]`: check this machine, the store and the Prefect server, and say how to mend what is wrong."""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flows.doctor.dataset import check_dataset, read_dataset
from flows.doctor.findings import Check, Finding, examine, worst
from flows.doctor.machine import check_gpus, check_memory, check_threads
from flows.doctor.packages import check_packages, check_python
from flows.doctor.places import check_disk, check_folders, check_home, check_objects
from flows.doctor.server import check_server
from negset.errors import ConfigError, NegsetError
from negset.store import Store
from schemas.config import BuildConfig
from tasks.place import Place

FAILED = 1
"""Exit code where something will not work."""


def run(options: argparse.Namespace) -> int:
    """Print what was found, a line for each check; 1 where one failed."""
    config, findings = read_dataset(Path(options.config), options.overrides) if options.config else (None, [])
    findings += examine(_checks(config))
    text = json.dumps([one.as_dict() for one in findings], indent=1)
    if options.json == "-":
        print(text)
    else:
        for one in findings:
            print(_line(one))
        print(_summary(findings))
    if options.json not in (None, "-"):
        _write(Path(options.json), f"{text}\n")
    return FAILED if worst(findings) == "fail" else 0


def _checks(config: BuildConfig | None) -> list[tuple[str, Check]]:
    place = Place()
    store = _store(place)
    own: list[tuple[str, Check]] = [("dataset", partial(check_dataset, config))] if config else []
    return [
        *own,
        ("python", check_python),
        ("packages", check_packages),
        ("memory", partial(check_memory, config, store)),
        ("threads", check_threads),
        ("gpu", partial(check_gpus, config)),
        ("NEGSET_HOME", partial(check_home, place)),
        ("folders", partial(check_folders, place)),
        ("disk", partial(check_disk, place, config, store)),
        ("object stores", partial(check_objects, place)),
        ("prefect server", check_server),
    ]


def _store(place: Place) -> Store | None:
    try:
        return place.open_store()
    except NegsetError:
        return None  # the check of folders says why


def _line(one: Finding) -> str:
    mend = f"\n{'':<6}{'':<22}-> {one.mend}" if one.mend else ""
    return f"{one.verdict:<5} {one.name:<21} {one.found}{mend}"


def _summary(findings: Sequence[Finding]) -> str:
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in ("ok", "warn", "fail")}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
