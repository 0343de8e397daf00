"""The state of a run as tensors by name and plain numbers: what a checkpoint holds, and how it is put back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch

Tensors = dict[str, torch.Tensor]
Numbers = dict[str, object]


@dataclass(frozen=True)
class State:
    """All that a step changes: parameters and buffers of the model, those of the loss's own, the optimizers'."""

    module: torch.nn.Module
    memory: torch.nn.Module | None
    optimizers: list[torch.optim.Optimizer]

    def modules(self) -> dict[str, torch.nn.Module]:
        """Give what holds parameters, by name."""
        return {"module": self.module, **({} if self.memory is None else {"memory": self.memory})}


def take_state(state: State) -> tuple[Tensors, Numbers]:
    """Copy `state` to the host, so that steps may go on while the copy is written."""
    tensors: Tensors = {}
    numbers: Numbers = {"groups": [], "values": []}
    for name, module in state.modules().items():
        tensors |= {f"{name}/{key}": tensor for key, tensor in module.state_dict().items()}
    for place, optimizer in enumerate(state.optimizers):
        stored = optimizer.state_dict()
        values: dict[str, dict[str, object]] = {}
        for index, entry in stored["state"].items():
            for key, value in entry.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer{place}/{index}/{key}"] = value
                else:
                    values.setdefault(str(index), {})[key] = value
        cast("list[object]", numbers["groups"]).append(stored["param_groups"])
        cast("list[object]", numbers["values"]).append(values)
    return _on_host(tensors), numbers


def put_state(state: State, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, object]) -> None:
    """Put what `take_state` gave into `state`.

    Raises KeyError, ValueError, TypeError or RuntimeError where it is the state of something else.
    """
    for name, module in state.modules().items():
        module.load_state_dict(_below(tensors, name))
    groups = cast("list[list[dict[str, object]]]", numbers["groups"])
    values = cast("list[dict[str, dict[str, object]]]", numbers["values"])
    for place, optimizer in enumerate(state.optimizers):
        entries: dict[int, dict[str, object]] = {int(index): dict(entry) for index, entry in values[place].items()}
        for key, tensor in _below(tensors, f"optimizer{place}").items():
            index, name = key.split("/", 1)
            entries.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({"state": entries, "param_groups": [_tupled(group) for group in groups[place]]})


def module_digest(module: torch.nn.Module) -> str:
    """Hash the parameters and buffers of `module`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _on_host(tensors: Tensors) -> Tensors:
    """Copy `tensors` to the host; from a GPU all at once, through pinned memory."""
    copies = {
        name: torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
        for name, tensor in tensors.items()
    }
    for name, copy in copies.items():
        copy.copy_(tensors[name].detach(), non_blocking=True)
    if any(tensor.is_cuda for tensor in tensors.values()):
        torch.cuda.synchronize()
    return copies


def _below(tensors: Mapping[str, torch.Tensor], name: str) -> Tensors:
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}


def _tupled(group: Mapping[str, object]) -> dict[str, object]:
    """Turn the lists that JSON made of a group's tuples back into tuples."""
    return {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
