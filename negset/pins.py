"""Pins: what a dataset keeps under a label, whatever becomes of its corpus: term statistics, a fitted encoder.

A pin is a file of one line in `<store>/pins/<section>/<dataset>/`, named by the label and the settings, that holds
what was first computed under them. It is written once; deleting it computes anew.
"""

from pathlib import Path
from typing import Final

from negset.fingerprint import fingerprint
from negset.store import Store, locked, swap
from schemas.config import Bm25Config
from schemas.encoder import EncoderConfig

Pinned = Bm25Config | EncoderConfig
_SECTIONS: Final = {Bm25Config: "bm25", EncoderConfig: "encoder"}


def pin_path(config: Pinned, store: Store, dataset: str) -> Path:
    """Give the place of the pin of `dataset` under the label and the settings of `config`."""
    name = f"{config.pin}-{fingerprint(config)[:16]}"
    return store.root / "pins" / _SECTIONS[type(config)] / (dataset or "_") / name


def read_pin(config: Pinned, store: Store, dataset: str) -> str:
    """Give what is pinned; empty where nothing is, or `config` names no label."""
    path = pin_path(config, store, dataset)
    if not config.pin:
        return ""
    if path.exists():
        return path.read_text().strip()
    return (store.shared.pinned(_key(path, store)) or "") if store.shared is not None else ""


def set_pin(config: Pinned, store: Store, dataset: str, value: str) -> str:
    """Pin `value` unless another is pinned already; give what is pinned then."""
    path = pin_path(config, store, dataset)
    with locked(path.parent / ".lock"):
        found = read_pin(config, store, dataset)
        if not found and store.shared is not None:
            found = store.shared.pin(_key(path, store), value)
        if not path.exists():
            swap(path, None, found or value)
    return found or value


def _key(path: Path, store: Store) -> str:
    return path.relative_to(store.root / "pins").as_posix()
