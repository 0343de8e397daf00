"""Merge models that were trained from one start: their differences from it are added up (task vectors).

A task vector is a model less its start (Ilharco et al. 2023, arXiv 2212.04089). A mixture gives each a share; the
shares add up to 1, and a scale stretches the sum: `start + scale * sum(share_i * (model_i - start))`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from negset.encoders.model_folder import check_model, folder_digests, model_files
from negset.errors import ConfigError, InputError, listed
from negset.fingerprint import canonical_json, fingerprint
from negset.store import rename_folder, staged_folder, write_durably

VERSION: Final = 1
MERGE: Final = "merge.json"
"""What a merged model was made from, beside it."""
_VOCABULARY: Final = ("model", "normalizer", "pre_tokenizer", "added_tokens")
_PROMPTS: Final = "config_sentence_transformers.json"


@dataclass(frozen=True)
class Mixture:
    """The share of each task vector, and what their sum is multiplied by."""

    shares: tuple[float, ...]
    scale: float = 1.0


def mixture_of(weights: Sequence[float], scale: float = 1.0) -> Mixture:
    """Turn `weights` into shares that add up to 1; raise ConfigError for a negative weight or none above 0."""
    total = sum(weights)
    if not weights or min(weights) < 0 or not 0 < total < float("inf"):
        message = f"--weights {', '.join(map(str, weights))}: they must be at least 0 and one of them above it"
        raise ConfigError(message)
    return Mixture(tuple(weight / total for weight in weights), scale)


def merge_tensor(base: torch.Tensor, models: Sequence[torch.Tensor], mixture: Mixture) -> torch.Tensor:
    """Mix tensors of one shape, in the precision of `models`.

    Counted in float64 as a weighted sum of whole tensors, not of differences, which round: what has no weight is left
    out, so a share of 1 at scale 1 gives that model bit for bit, and a float32 model mixed with itself is itself.
    """
    weighted = [(1.0 - mixture.scale, base), *zip([mixture.scale * one for one in mixture.shares], models, strict=True)]
    counted = [(weight, tensor) for weight, tensor in weighted if weight != 0.0]
    if len(counted) == 1 and counted[0][0] == 1.0:
        return counted[0][1].to(models[0].dtype).clone()
    total = torch.zeros(base.shape, dtype=torch.float64)
    for weight, tensor in counted:
        total.add_(tensor.double(), alpha=weight)
    return total.to(models[0].dtype)


def merge_folders(base: Path, models: Sequence[Path], mixture: Mixture, out: Path) -> None:
    """Merge the models in folders, safetensors only, into the new folder `out`.

    All else (tokenizer, modules, prompts) comes from the first of `models`. merge.json says what was merged.
    Raises ConfigError for a number of shares that is not that of `models`, an `out` that exists, and where
    `check_folders` does.
    """
    if len(mixture.shares) != len(models):
        message = f"{len(mixture.shares)} weights for {len(models)} models: give one for each"
        raise ConfigError(message)
    if out.exists():
        message = f"{out} exists: name a new folder with --out"
        raise ConfigError(message)
    check_folders(base, models)
    with staged_folder(out.parent) as staged:
        model = staged / "model"
        _copy_settings(models[0], model)
        with ExitStack() as stack:
            opened = [_open_weights(folder, stack) for folder in (base, *models)]
            for file, keys in _layout(models[0]).items():
                merged = {key: _merge_entry(f"{file.parent}/{key}", opened, mixture) for key in keys}
                save_file(merged, model / file, metadata={"format": "pt"})
        write_durably(model / MERGE, _provenance(base, models, mixture))
        if not rename_folder(model, out):
            message = f"{out} was made by somebody else meanwhile: name a new folder with --out"
            raise ConfigError(message)
    _remove_empty(out.parent / "staging")


def check_folders(base: Path, models: Sequence[Path]) -> None:
    """Raise ConfigError unless the models in folders can be merged: one kind, one vocabulary, one way of use.

    It names parameters that not all have in one shape, or the file in which vocabularies, modules or prompts differ.
    Raises InputError for what is no model.
    """
    for folder in (base, *models):
        check_model(folder)
    _check_alike(base, models)
    with ExitStack() as stack:
        _check_parameters((base, *models), [_open_weights(folder, stack) for folder in (base, *models)])


@dataclass(frozen=True)
class _Entry:
    """One parameter in an open file of weights."""

    file: Any
    key: str

    def shape(self) -> tuple[int, ...]:
        return tuple(self.file.get_slice(self.key).get_shape())

    def read(self) -> torch.Tensor:
        tensor: torch.Tensor = self.file.get_tensor(self.key)
        return tensor


_Weights = Mapping[str, _Entry]
"""The parameters of a folder, by the folder below it and the key."""


def _open_weights(folder: Path, stack: ExitStack) -> _Weights:
    found = {}
    for path in model_files(folder):
        if path.suffix != ".safetensors":
            continue
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            message = f"cannot read the weights in {path}: {error}. Save the model again"
            raise InputError(message) from error
        place = path.parent.relative_to(folder)
        found.update({f"{place}/{key}": _Entry(file, key) for key in file.keys()})
    return found


def _layout(folder: Path) -> dict[Path, list[str]]:
    """Give the keys of each file of weights in `folder`."""
    layout: dict[Path, list[str]] = {}
    for path in model_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                layout[path.relative_to(folder)] = list(file.keys())
    return layout


def _check_parameters(folders: Sequence[Path], opened: Sequence[_Weights]) -> None:
    """Raise ConfigError unless all folders have the same parameters in the same shapes."""
    first = opened[1]
    for folder, weights in zip(folders, opened, strict=True):
        missing, extra = sorted(first.keys() - weights.keys()), sorted(weights.keys() - first.keys())
        if missing or extra:
            message = (
                f"{folder} and {folders[1]} are not of one kind: {listed(missing, 5) or 'nothing'} is missing and "
                f"{listed(extra, 5) or 'nothing'} is there alone. Merge models that were trained from one start"
            )
            raise ConfigError(message)
        for key in sorted(first):
            shape, expected = weights[key].shape(), first[key].shape()
            if shape != expected:
                message = (
                    f"{key} has shape {shape} in {folder} and {expected} in {folders[1]}: merge models that were "
                    "trained from one start"
                )
                raise ConfigError(message)


def _merge_entry(key: str, opened: Sequence[_Weights], mixture: Mixture) -> torch.Tensor:
    base, *tensors = [weights[key].read() for weights in opened]
    types = {str(tensor.dtype) for tensor in tensors}
    if len(types) > 1:
        message = f"{key} is stored as {' and '.join(sorted(types))}: save the models in one precision"
        raise ConfigError(message)
    if tensors[0].is_floating_point():
        return merge_tensor(base, tensors, mixture)
    if not all(torch.equal(tensor, tensors[0]) for tensor in tensors):
        message = f"{key} holds whole numbers that differ between the models: they cannot be mixed"
        raise ConfigError(message)
    return tensors[0]


def _check_alike(base: Path, models: Sequence[Path]) -> None:
    """Raise ConfigError where tokens, modules or prompts differ: parameters of one shape would mean other things."""
    first = models[0]
    for folder in (base, *models[1:]):
        tokens, expected = _tokens(folder), _tokens(first)
        wrong = sorted(path for path in tokens.keys() & expected.keys() if tokens[path] != expected[path])
        if wrong:
            message = f"{wrong[0]} of {folder} and {first} cut texts differently: their vocabularies must be one"
            raise ConfigError(message)
    for folder in models[1:]:
        settings, expected_settings = _settings(folder), _settings(first)
        for path in sorted(settings.keys() | expected_settings.keys()):
            if settings.get(path) != expected_settings.get(path):
                message = f"{path} of {folder} and {first} differ: merge models that are used in one way"
                raise ConfigError(message)


def _tokens(folder: Path) -> dict[str, str]:
    """Hash what decides how texts are cut: path below `folder` to digest."""
    found = {}
    for path in model_files(folder):
        if path.name == "tokenizer.json":
            parsed = _json(path)
            found[path.relative_to(folder).as_posix()] = fingerprint(*(parsed.get(part) for part in _VOCABULARY))
        elif path.name == "vocab.txt":
            found[path.relative_to(folder).as_posix()] = fingerprint(path.read_text(encoding="utf-8"))
    return found


def _settings(folder: Path) -> dict[str, str]:
    """Hash what decides how vectors are made from parameters: modules, their settings without weights, prompts."""
    found = {}
    modules = folder / "modules.json"
    if modules.is_file():
        kinds = json.loads(modules.read_text(encoding="utf-8"))
        found["modules.json"] = fingerprint([(one["path"], str(one["type"]).rpartition(".")[2]) for one in kinds])
        for one in kinds:
            place = folder / one["path"]
            if one["path"] and (place / "config.json").is_file() and not list(place.glob("*.safetensors")):
                found[f"{one['path']}/config.json"] = fingerprint(_json(place / "config.json"))
    prompts = _json(folder / _PROMPTS).get("prompts") if (folder / _PROMPTS).is_file() else None
    given = {name: text for name, text in prompts.items() if text} if isinstance(prompts, dict) else {}
    found[f"prompts in {_PROMPTS}"] = fingerprint(given)
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}. Save the model again"
        raise InputError(message) from error
    return parsed if isinstance(parsed, dict) else {}


def _copy_settings(source: Path, target: Path) -> None:
    """Copy all that a model reads but its weights."""
    for path in model_files(source):
        if path.name == MERGE:
            continue
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".safetensors":
            shutil.copyfile(path, copied)


def _provenance(base: Path, models: Sequence[Path], mixture: Mixture) -> bytes:
    """Say by digests what was merged: names of folders change, files do not."""
    merged = [
        {"files": fingerprint(folder_digests(folder)), "share": share}
        for folder, share in zip(models, mixture.shares, strict=True)
    ]
    start = fingerprint(folder_digests(base))
    return f"{canonical_json({'version': VERSION, 'base': start, 'models': merged, 'scale': mixture.scale})}\n".encode()


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
