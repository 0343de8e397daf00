import numpy as np
import pytest
import torch
from scipy.stats import beta as beta_distribution
from scipy.stats import kstest

from negset import lots as reference
from negset.training.noise import betas, lots, mix, normals, uniforms
from negset.training.objective import Moment

KEYS = torch.from_numpy((reference.id_keys([f"q{place}" for place in range(4000)]) >> np.uint64(1)).astype(np.int64))
MOMENT = Moment(seed=7, epoch=2, epochs=3, step=5, steps=9)


def test_the_bits_are_those_of_the_lots_of_mining():
    """An arithmetic shift, which keeps the sign, would differ for half of them."""
    values = reference.id_keys([f"d{place}" for place in range(500)])
    mixed = mix(torch.from_numpy(values.view(np.int64)))
    assert (mixed.numpy().view(np.uint64) == reference.mix(values)).all()


def test_a_number_depends_on_its_key_alone():
    drawn = uniforms(KEYS, MOMENT, "test", 3)
    assert torch.equal(uniforms(KEYS[[17, 4]], MOMENT, "test", 3), drawn[[17, 4]])
    assert torch.equal(uniforms(KEYS, MOMENT, "test", 2), drawn[:, :2])


@pytest.mark.parametrize("other", [("other", MOMENT), ("test", Moment(8, 2, 3, 5, 9)), ("test", Moment(7, 1, 3, 5, 9))])
def test_purpose_seed_and_epoch_draw_anew(other):
    purpose, moment = other
    drawn = uniforms(KEYS, MOMENT, "test", 1)[:, 0]
    again = uniforms(KEYS, moment, purpose, 1)[:, 0]
    assert abs(np.corrcoef(drawn.numpy(), again.numpy())[0, 1]) < 0.06


def test_a_step_does_not_draw_anew():
    later = Moment(MOMENT.seed, MOMENT.epoch, MOMENT.epochs, step=6, steps=9)
    assert torch.equal(lots(KEYS, MOMENT, "test"), lots(KEYS, later, "test"))


def test_the_distributions_are_what_they_are_called():
    flat = uniforms(KEYS, MOMENT, "flat", 2)
    assert kstest(flat[:, 0].numpy(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(flat[:, 0].numpy(), flat[:, 1].numpy())[0, 1]) < 0.06
    assert kstest(normals(KEYS, MOMENT, "normal", 1)[:, 0].numpy(), "norm").pvalue > 0.01
    drawn = betas(flat, 1.6, 1.6)
    assert kstest(drawn[:, 0].numpy(), beta_distribution(1.6, 1.6).cdf).pvalue > 0.01
    assert np.abs(drawn.numpy() - beta_distribution(1.6, 1.6).ppf(flat.numpy())).max() < 1e-3
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
