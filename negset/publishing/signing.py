"""Sign a version by `model_signing` (sigstore's, with a key of one's own), or check a signature.

The signature stands in the version as `model.sig`. It covers every file but itself and the bag's list of papers,
which names the signature: so the signature's own bytes are watched by `sha256sum -c` too, and whatever the list
names besides is signed.
"""

from importlib.util import find_spec
from pathlib import Path

from negset.errors import ArtifactError, ConfigError, EnvironmentFault
from negset.publishing.bag import TAGS

SIGNATURE = "model.sig"


def sign_version(folder: Path, key: Path) -> None:
    """Sign the files in `folder` with the private EC `key` (PEM) and write model.sig beside them.

    Raises ConfigError where the key is none, EnvironmentFault where model_signing is missing.
    """
    _require_library()
    # An extra: who signs nothing does without it.
    from model_signing import hashing, signing  # noqa: PLC0415

    target = folder / SIGNATURE
    ignored = hashing.Config().set_ignored_paths(paths=_unsigned(folder), ignore_git_paths=False)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=str(key)).set_hashing_config(ignored)
        config.sign(str(folder), str(target))
    except (OSError, ValueError, TypeError) as error:
        message = f"cannot sign with {key}: {error}. NEGSET_SIGNING_KEY names the PEM of an elliptic-curve private key"
        raise ConfigError(message) from error


def check_signature(folder: Path, key: Path) -> None:
    """Check model.sig of the version in `folder` with the public `key` (PEM).

    Raises ArtifactError where there is no signature, it is of another key, or a file is not what was signed.
    """
    _require_library()
    from model_signing import hashing, verifying  # noqa: PLC0415

    signature = folder / SIGNATURE
    if not key.is_file():
        message = f"{key} is no file with a public key"
        raise ConfigError(message)
    if not signature.is_file():
        message = f"{folder} is not signed: it has no {SIGNATURE}. Publish it with NEGSET_SIGNING_KEY"
        raise ArtifactError(message)
    ignored = hashing.Config().set_ignored_paths(paths=_unsigned(folder), ignore_git_paths=False)
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=str(key)).set_hashing_config(ignored)
        config.verify(str(folder), str(signature))
    except Exception as error:
        # The library raises its parsers' and its cryptography's errors as they come: each means "not proven".
        message = f"{signature} does not vouch for {folder} with {key}: {error or type(error).__name__}"
        raise ArtifactError(message) from error


def _unsigned(folder: Path) -> list[str]:
    return [str(folder / SIGNATURE), str(folder / TAGS)]


def _require_library() -> None:
    if find_spec("model_signing") is None:
        message = "signatures need the package model-signing: pip install 'negset[sign]'"
        raise EnvironmentFault(message)
