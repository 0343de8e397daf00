import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from negset.errors import ArtifactError, ConfigError, EnvironmentFault
from negset.publishing import signing
from negset.publishing.bag import read_digests
from negset.publishing.publish import publish_set
from negset.publishing.signing import SIGNATURE, check_signature
from negset.publishing.verify import verify_set


def key_pair(folder, name="key"):
    """Write a pair of elliptic-curve keys as PEM; give the private and the public one."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    made = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()),
    )
    public.write_bytes(made.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(tiny_set, staged, tmp_path):
    """Give the tiny set, published with a signature, and the public key."""
    pytest.importorskip("model_signing", reason="pip install 'negset[sign]'")
    private, public = key_pair(tmp_path)
    draft = tiny_set.replace(tiny_set.draft_of(staged), signing_key=private)
    ref = publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC))
    return Path(ref.path), public


def test_a_signed_version_is_the_version_that_it_would_be_unsigned(signed, tiny_set, tmp_path):
    folder, public = signed
    check_signature(folder, public)
    assert verify_set(folder).findings == ()
    assert SIGNATURE in read_digests(folder / "tagmanifest-sha256.txt")
    plain = publish_set(
        tiny_set.draft_of(tiny_set.stage(tmp_path / "again")),
        tmp_path / "plain",
        by="ada",
        at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert plain.fingerprint == folder.name


@pytest.mark.parametrize("name", ["manifest.json", "README.md", "data/negatives/part-00000.parquet", "bag-info.txt"])
def test_what_was_signed_cannot_change(signed, name):
    folder, public = signed
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=SIGNATURE):
        check_signature(folder, public)


def test_more_files_and_other_keys_are_refused(signed, tmp_path):
    folder, public = signed
    _, other = key_pair(tmp_path, "other")
    with pytest.raises(ArtifactError, match=SIGNATURE):
        check_signature(folder, other)
    (folder / "more.txt").write_text("more")
    with pytest.raises(ArtifactError, match=SIGNATURE):
        check_signature(folder, public)


def test_the_stock_tool_checks_a_signature(signed):
    folder, public = signed
    tool = Path(sys.executable).with_name("model_signing")
    command = [str(tool)] if tool.exists() else [sys.executable, "-m", "model_signing"]
    options = ["--signature", SIGNATURE, "--public_key", str(public), "--ignore-paths", SIGNATURE]
    arguments = ["verify", "key", ".", *options, "--ignore-paths", "tagmanifest-sha256.txt"]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unsigned_version_vouches_for_nothing(published, tmp_path):
    pytest.importorskip("model_signing", reason="pip install 'negset[sign]'")
    _, public = key_pair(tmp_path)
    with pytest.raises(ArtifactError, match=r"is not signed: it has no model\.sig"):
        check_signature(published, public)


def test_a_key_that_is_none_publishes_nothing(tiny_set, staged, tmp_path):
    pytest.importorskip("model_signing", reason="pip install 'negset[sign]'")
    (tmp_path / "key.pem").write_text("no key")
    draft = tiny_set.replace(tiny_set.draft_of(staged), signing_key=tmp_path / "key.pem")
    with pytest.raises(ConfigError, match="NEGSET_SIGNING_KEY"):
        publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC))
    assert not (tmp_path / "sets" / "tiny" / "LATEST").exists()


def test_without_the_library_a_signature_is_refused_and_not_left_out(tiny_set, staged, tmp_path, monkeypatch):
    monkeypatch.setattr(signing, "find_spec", lambda name: None)
    draft = tiny_set.replace(tiny_set.draft_of(staged), signing_key=tmp_path / "key.pem")
    with pytest.raises(EnvironmentFault, match="pip install 'negset\\[sign\\]'"):
        publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC))
