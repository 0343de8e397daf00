"""Where a training run is, on disk: parameters, optimizers, position and history, in one file."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from negset.errors import ArtifactError
from negset.store import flush, storage_fault

CHECKPOINT: Final = "checkpoint.pt"


def save_checkpoint(
    path: Path, run: str, losses: Sequence[float], module: torch.nn.Module, optimizers: list[torch.optim.Optimizer]
) -> None:
    """Write the state of the `run` (its fingerprint) to `path`: the file is the old one or the new one, whole.

    `losses` holds one number for each step done.
    """
    state = {
        "run": run,
        "losses": list(losses),
        "module": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    temporary = _unfinished(path)
    try:
        torch.save(state, temporary)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_fault(error, path) from error


def load_checkpoint(
    path: Path, run: str, module: torch.nn.Module, optimizers: list[torch.optim.Optimizer]
) -> list[float] | None:
    """Put the state at `path` into `module` and `optimizers`; give the losses so far.

    Gives None where there is no state, or one of another run.

    Raises ArtifactError naming a file that is damaged. Nothing in the file is executed.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["run"] != run:
            return None
        module.load_state_dict(state["module"])
        for optimizer, stored in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        return [float(loss) for loss in state["losses"]]
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"cannot resume from {path}: {reason}. Delete it to train from the start"
        raise ArtifactError(message) from error


def clear_checkpoint(path: Path) -> None:
    """Remove the state at `path`, and what a kill left of a newer one."""
    for file in (path, _unfinished(path)):
        file.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    # One name for all, so that killed runs leave one file at most: a run has its folder to itself.
    return path.with_name(f".{path.name}.unfinished")


def module_digest(module: torch.nn.Module) -> str:
    """Hash the parameters and buffers of `module`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
