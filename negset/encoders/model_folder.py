"""Sentence-transformers models as folders of files: found, checked and fingerprinted without loading them.

A model is a local folder or a name of the Hugging Face hub, whose local copy is looked for before the network.
Weights are read from safetensors only and no code that comes with a model is run.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

from negset.encoders.encoder import Encoder, FittingCorpus
from negset.errors import ConfigError, InputError, TransientError
from negset.fingerprint import canonical_json, file_digest
from negset.progress import Progress
from schemas.encoder import EncoderConfig

VERSION = 1
IGNORED = (
    *("*.md", "*.py", "*.png", "*.jpg", "*.pdf", "*.svg"),
    *(
        "*.bin",
        "*.pt",
        "*.pth",
        "*.ckpt",
        "*.h5",
        "*.ot",
        "*.msgpack",
        "*.onnx",
        "*.onnx_data",
        "*.gguf",
        "*.pkl",
        "*.xml",
    ),
)
"""Files that are never read when a model is loaded: papers, code, and weights in other formats than safetensors."""
FILES = "files.json"


def identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    """Name what the vectors depend on: every file of the model by digest, prompts, length and dtype."""
    return {
        "version": VERSION,
        "files": folder_digests(find_model(config.model, config.revision)),
        "query_prompt": config.query_prompt,
        "document_prompt": config.document_prompt,
        "max_length": config.max_length,
        "dtype": config.dtype,
        "revision": config.revision,
    }


def prepare(config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
    """Check the model's folder and write the digests of its files to `staged`; give their number."""
    folder = find_model(config.model, config.revision)
    check_model(folder)
    digests = folder_digests(folder)
    (staged / FILES).write_text(canonical_json(digests), encoding="utf-8")
    return len(digests)


def open_folder(config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
    """Load the model that `config` names."""
    model = find_model(config.model, config.revision)
    check_model(model)
    loader = import_module("negset.encoders.sentence_model")
    return cast("Encoder", loader.load_sentence_encoder(model, config, fingerprint))


def find_model(model: str, revision: str, option: str = "encoder.model") -> Path:
    """Give the folder of `model`: a local folder, the hub's local copy, or else a download of `revision`.

    Messages say that `option` named it.

    Raises ConfigError where there is no such model, TransientError where the hub does not answer.
    """
    if not model:
        message = f"{option} is empty: a backend of sentence-transformers needs the name or folder of a model"
        raise ConfigError(message)
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        message = f"{option}: there is no folder {model!r}"
        raise ConfigError(message)
    return _fetch_model(model, revision, option)


def _fetch_model(model: str, revision: str, option: str) -> Path:
    hub = import_module("huggingface_hub")
    errors = import_module("huggingface_hub.errors")
    wanted = {"repo_id": model, "revision": revision or None, "ignore_patterns": list(IGNORED)}
    try:
        return Path(hub.snapshot_download(**wanted, local_files_only=True))
    except (errors.LocalEntryNotFoundError, errors.HFValidationError):
        pass  # no local copy: ask the hub, which also says what is wrong with a name
    try:
        return Path(hub.snapshot_download(**wanted))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        message = f"{option}: no folder {model!r}, and on the hub no such model at revision {revision or 'main'!r}"
        raise ConfigError(message) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        message = (
            f"{option}: no local copy of {model!r}, no folder of that name, and the hub cannot be reached. "
            "Give the folder of a model, or allow the network"
        )
        raise ConfigError(message) from error
    except (errors.HfHubHTTPError, OSError) as error:
        message = f"the hub failed to give {model!r}: {type(error).__name__}"
        raise TransientError(message) from error


def model_files(folder: Path) -> list[Path]:
    """List the files of a model below `folder` that loading it may read, by path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(
        path
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not any(path.match(pattern) for pattern in IGNORED)
    )


def folder_digests(folder: Path) -> dict[str, str]:
    """Hash each file that `model_files` lists: path below `folder` to digest."""
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in model_files(folder)}


def check_model(folder: Path) -> None:
    """Raise InputError where the model in `folder` has other weights than safetensors or asks for foreign code."""
    weights = [path for path in model_files(folder) if path.suffix == ".safetensors"]
    if not weights:
        message = f"{folder} holds no .safetensors file: weights in other formats can run code and are not read"
        raise InputError(message)
    safe = {path.parent for path in weights}
    pickled = sorted(path for path in folder.rglob("pytorch_model.bin") if path.parent not in safe)
    if pickled:
        message = f"{pickled[0]} has no model.safetensors beside it: pickled weights are not read; save the model anew"
        raise InputError(message)
    for kind in _module_types(folder):
        if not kind.startswith("sentence_transformers."):
            message = f"{folder / 'modules.json'} asks for the class {kind!r}: only sentence_transformers' own are run"
            raise InputError(message)


def _module_types(folder: Path) -> list[str]:
    path = folder / "modules.json"
    if not path.exists():
        return []
    try:
        return [str(module["type"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} does not list the modules of a model: {error!r}"
        raise InputError(message) from error
