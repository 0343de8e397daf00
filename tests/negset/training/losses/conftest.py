"""Batches of vectors for the tests of losses."""

import pytest
import torch

from negset.training.cells import cells_of
from negset.training.objective import LossInputs, Moment

MOMENT = Moment(seed=13, epoch=0, epochs=1, step=0, steps=1)


def make_inputs(
    queries: torch.Tensor,
    candidates: torch.Tensor,
    *,
    target: torch.Tensor | None = None,
    masked: torch.Tensor | None = None,
    own_BC: torch.Tensor | None = None,
    weight_BC: torch.Tensor | None = None,
    temperature: float = 1.0,
    moment: Moment = MOMENT,
    **others,
) -> LossInputs:
    """Give a batch in which candidate i is the positive of query i and nothing is masked, unless said otherwise."""
    shape, rows, columns = (len(queries), len(candidates)), torch.arange(len(queries)), torch.arange(len(candidates))
    return LossInputs(
        **{
            "queries_BD": queries,
            "candidates_CD": candidates,
            "target_B": rows if target is None else target,
            "cells": cells_of(
                torch.zeros(shape, dtype=torch.bool) if masked is None else masked,
                torch.zeros(shape, dtype=torch.bool) if own_BC is None else own_BC,
                torch.ones(shape) if weight_BC is None else weight_BC,
            ),
            "query_row_B": rows,
            "candidate_row_C": columns,
            "query_key_B": rows * 7919 + 11,
            "candidate_key_C": columns * 104729 + 5,
            "temperature": temperature,
            "moment": moment,
            **others,
        }
    )


@pytest.fixture
def loss_inputs():
    return make_inputs
