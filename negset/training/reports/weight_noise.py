"""How flat the place is where training ended: what is measured once all weights are shaken a little."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch

from negset.lots import id_keys

SCALE: Final = 0.05
"""Standard deviation of the noise, in units of the root mean square of the weights of each parameter."""
DRAWS: Final = 3


def measure_shaken(module: torch.nn.Module, measure: Callable[[], float], seed: int) -> list[float]:
    """Give what `measure` finds with the weights of `module` shaken, once for each of DRAWS draws.

    The weights are what they were afterwards, bit for bit.
    """
    found = []
    for draw in range(DRAWS):
        with shaken_weights(module, SCALE, f"{seed}:{draw}"):
            found.append(measure())
    return found


@contextmanager
def shaken_weights(module: torch.nn.Module, scale: float, salt: str) -> Iterator[None]:
    """Add normal noise to each parameter of `module` while the block runs.

    The noise of a parameter depends on `salt`, its name and its shape alone: not on the device, nor on the others.
    """
    kept = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    try:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                chance = np.random.default_rng(int(id_keys([f"{salt}:{name}:noise"])[0]))
                noise = torch.from_numpy(chance.standard_normal(tuple(parameter.shape), dtype=np.float32))
                size = parameter.float().pow(2).mean().sqrt() * scale
                parameter.add_((noise.to(parameter.device) * size).to(parameter.dtype))
        yield
    finally:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(kept[name])
