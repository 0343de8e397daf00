"""Random numbers of losses: drawn from keys, so that neither batch, order nor device changes them.

The bits are those of `negset/lots.py`, computed where the vectors are.
"""

from functools import lru_cache
from typing import Final

import torch
from scipy.special import betaincinv

from negset.lots import id_keys
from negset.training.objective import Moment

_STEP: Final = 0x9E3779B97F4A7C15 - 2**64
_FIRST: Final = 0xBF58476D1CE4E5B9 - 2**64
_SECOND: Final = 0x94D049BB133111EB - 2**64
_GRID: Final = 4096


def mix(values: torch.Tensor) -> torch.Tensor:
    """Spread each of `values` (int64) over 64 bits, as `negset.lots.mix` does."""
    mixed = values + _STEP
    mixed = (mixed ^ _shifted(mixed, 30)) * _FIRST
    mixed = (mixed ^ _shifted(mixed, 27)) * _SECOND
    return mixed ^ _shifted(mixed, 31)


def lots(keys_N: torch.Tensor, moment: Moment, purpose: str) -> torch.Tensor:
    """Give each of `keys_N` 63 bits that depend on it, `purpose` and the moment's seed and epoch alone, (N,)."""
    salt = int(id_keys([f"{moment.seed}:{moment.epoch}:{purpose}"])[0] >> 1)
    return _shifted(mix(mix(keys_N ^ salt)), 1)


def uniforms(keys_N: torch.Tensor, moment: Moment, purpose: str, width: int) -> torch.Tensor:
    """Give each of `keys_N` `width` numbers in (0, 1), (N, width), in float64."""
    places_W = torch.arange(width, device=keys_N.device)
    bits_NW = mix(mix(lots(keys_N, moment, purpose)[:, None] + places_W))
    drawn_NW: torch.Tensor = (_shifted(bits_NW, 11).double() + 0.5) * 2.0**-53
    return drawn_NW


def normals(keys_N: torch.Tensor, moment: Moment, purpose: str, width: int) -> torch.Tensor:
    """Give each of `keys_N` `width` numbers of the standard normal distribution, (N, width), in float64."""
    drawn_NW: torch.Tensor = torch.special.ndtri(uniforms(keys_N, moment, purpose, width))
    return drawn_NW


def betas(uniform: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """Turn numbers in (0, 1) into numbers of a Beta distribution, by its quantiles at 4,097 places."""
    quantiles = torch.tensor(_beta_quantiles(alpha, beta), dtype=uniform.dtype, device=uniform.device)
    place = uniform * _GRID
    left = place.long().clamp(max=_GRID - 1)
    return quantiles[left].lerp(quantiles[left + 1], place - left)


@lru_cache(maxsize=16)
def _beta_quantiles(alpha: float, beta: float) -> tuple[float, ...]:
    return tuple(float(betaincinv(alpha, beta, place / _GRID)) for place in range(_GRID + 1))


def _shifted(values: torch.Tensor, places: int) -> torch.Tensor:
    """Shift to the right as if the numbers had no sign."""
    return torch.bitwise_and(values >> places, 2 ** (64 - places) - 1)
