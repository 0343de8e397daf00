"""What every file of the folder has."""

import importlib
from pathlib import Path

import pytest
import torch

from negset.training.objective import PACKAGE, losses


@pytest.mark.parametrize("name", losses())
def test_a_loss_has_a_file_of_its_name_with_a_word_on_each_option_and_a_test(name):
    module, found = importlib.import_module(f"{PACKAGE}.{name}"), losses()[name]
    assert module.__doc__
    assert found.compute.__module__ == module.__name__
    assert found.compute.__doc__
    assert [option for option, field in found.params.model_fields.items() if not field.description] == []
    assert (Path(__file__).parent / f"test_{name}.py").exists()


@pytest.mark.parametrize("name", [name for name, found in losses().items() if found.needs <= {"guide", "teacher"}])
def test_a_batch_of_one_positive_has_no_loss(name, loss_inputs):
    one = torch.ones(1, 1)
    found = losses()[name]
    alone = loss_inputs(one, one, guide_BG=one, guide_CG=one, teacher_BC=one * float("nan"))
    assert found.compute(alone, found.params()).tolist() == [0.0]
