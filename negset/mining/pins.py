"""Pins: which term statistics a dataset keeps under a label, whatever becomes of its corpus.

A pin is a file of one line in `<store>/pins/bm25/<dataset>/`, named by the label and the settings, that holds the
fingerprint of the statistics first counted under them. It is written once; deleting it counts anew.
"""

from pathlib import Path

from negset.fingerprint import fingerprint
from negset.store import Store, locked, swap
from schemas.config import Bm25Config


def pin_path(config: Bm25Config, store: Store, dataset: str) -> Path:
    """Give the place of the pin of `dataset` under the label and the settings of `config`."""
    return store.root / "pins" / "bm25" / (dataset or "_") / f"{config.pin}-{fingerprint(config)[:16]}"


def read_pin(config: Bm25Config, store: Store, dataset: str) -> str:
    """Give the fingerprint that is pinned; empty where nothing is, or `config` names no label."""
    path = pin_path(config, store, dataset)
    return path.read_text().strip() if config.pin and path.exists() else ""


def set_pin(config: Bm25Config, store: Store, dataset: str, key: str) -> str:
    """Pin the statistics `key` unless others are pinned already; give what is pinned then."""
    path = pin_path(config, store, dataset)
    with locked(path.parent / ".lock"):
        found = read_pin(config, store, dataset)
        if not found:
            swap(path, None, key)
    return found or key
