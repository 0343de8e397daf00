"""Pairs whose losses stay odd teach less: Dynamic Bad Pair Mining (Lan et al. 2023, arXiv 2302.03357).

Which pairs are odd, and what they weigh, `negset/mining/loss_history.py` says, where two defects of the authors' code
are named.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from pydantic import Field

from negset.errors import ConfigError, InputError, NegsetError
from negset.lots import id_keys
from negset.mining.loss_history import weigh_pairs
from negset.mining.query_choice import read_pair_stats
from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.noise import mix
from negset.training.objective import EpochInputs, LossInputs, LossParams, loss


class DbpmParams(LossParams):
    """Which pairs are judged, and from which losses."""

    too_easy: float = Field(2.0, gt=0)
    """Deviations below the mean from which a pair is noisy."""
    too_hard: float = Field(3.0, gt=0)
    """Deviations above the mean from which a pair is faulty."""
    warm_up: int = Field(3, ge=1)
    """Epochs that a pair must have been seen in before it is judged."""
    pair_stats: str = ""
    """A Parquet of the losses of another run to judge by; empty for those of this run so far."""


def prepare(inputs: EpochInputs, params: DbpmParams) -> Mapping[str, torch.Tensor]:
    """Give `key` and `weight` of the pairs that are flagged, sorted by key.

    Raises ConfigError where there are no losses to judge by, InputError where the file has none of the run's queries.
    """
    if params.pair_stats:
        losses = read_pair_stats(Path(params.pair_stats), "train.loss_options.pair_stats")
        _check_same_set(losses, inputs, params.pair_stats)
    elif inputs.pair_losses is None:
        message = "dbpm judges pairs by their losses, but this run keeps none. Set train.loss_options.pair_stats"
        raise ConfigError(message)
    else:
        losses = inputs.pair_losses()
    weighed = weigh_pairs(losses, too_easy=params.too_easy, too_hard=params.too_hard, warm_up=params.warm_up)
    odd = weighed.filter(pl.col("flag") != "ok")
    key_P = pair_keys(*(_keys(odd.get_column(name)) for name in ("query_id", "positive_id")))
    order_P = torch.argsort(key_P)
    weight_P = torch.from_numpy(odd.get_column("weight").to_numpy().astype(np.float32))
    return {"key": key_P[order_P], "weight": weight_P[order_P]}


@loss("dbpm", params=DbpmParams, needs=["episode"], prepare=prepare, files=["pair_stats"])
def dbpm(inputs: LossInputs, _params: DbpmParams) -> torch.Tensor:
    """Give each query's InfoNCE, (B,), whose gradient is weighed by its pair.

    The weight is on the gradient alone. On the value it would make the losses of a flagged pair tiny, and the next
    judgement of it would be of its weight.
    """
    plain_B = info_nce(inputs, InfoNceParams())
    weight_B = pair_weights(inputs).to(plain_B)
    return weight_B * plain_B + ((1 - weight_B) * plain_B).detach()


def pair_weights(inputs: LossInputs) -> torch.Tensor:
    """Give the weight of each query's pair with its positive, 1 where it is not flagged, (B,)."""
    if not isinstance(inputs.episode, Mapping):
        message = f"dbpm needs what its prepare gives, not {type(inputs.episode).__name__}"
        raise NegsetError(message)
    key_B = pair_keys(inputs.query_key_B, inputs.candidate_key_C[inputs.target_B])
    key_P, weight_P = inputs.episode["key"].to(key_B), inputs.episode["weight"].to(key_B.device)
    if not len(key_P):
        return torch.ones(len(key_B), device=key_B.device)
    place_B = torch.searchsorted(key_P, key_B).clamp(max=len(key_P) - 1)
    return torch.where(key_P[place_B] == key_B, weight_P[place_B], 1.0)


def pair_keys(query_key_P: torch.Tensor, document_key_P: torch.Tensor) -> torch.Tensor:
    """Hash pairs of keys to 64 bits."""
    return mix(mix(query_key_P) + document_key_P)


def _keys(ids: pl.Series) -> torch.Tensor:
    return torch.from_numpy((id_keys(ids.to_list()) >> np.uint64(1)).astype(np.int64))


def _check_same_set(losses: pl.DataFrame, inputs: EpochInputs, path: str) -> None:
    if not torch.isin(_keys(losses.get_column("query_id").unique()), inputs.query_key_Q.cpu()).any():
        message = f"{path} has losses of none of the {len(inputs.query_key_Q)} queries: is it of another set?"
        raise InputError(message)
