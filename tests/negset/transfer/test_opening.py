from types import SimpleNamespace

import pytest

from negset.errors import ConfigError
from negset.transfer import opening


def test_vectors_of_two_encoders_are_not_put_together(monkeypatch, store, tmp_path):
    """Nor are sets without any: there is no space that they share."""
    encoders = {
        "one": SimpleNamespace(fingerprint="a" * 64),
        "two": SimpleNamespace(fingerprint="b" * 64),
        "none": None,
    }
    monkeypatch.setattr(
        opening, "read_set", lambda path: SimpleNamespace(manifest=SimpleNamespace(encoder=encoders[path.name]))
    )
    with pytest.raises(ConfigError, match=r"one \(a{16}\), two \(b{16}\)"):
        opening.open_members([tmp_path / "one", tmp_path / "two"], store)
    with pytest.raises(ConfigError, match=r"none \(none\)"):
        opening.open_members([tmp_path / "none"], store)
