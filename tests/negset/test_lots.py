"""Numbers drawn from identities."""

import numpy as np

from negset.lots import id_keys, mix


def test_lots_do_not_change_between_versions():
    assert id_keys(["0042"])[0] == 12256186609851206652
    assert int(mix(np.array([0], np.uint64))[0]) == 0xE220A8397B1DCDAF  # first output of splitmix64 from state 0


def test_ids_that_differ_in_one_character_share_no_pattern():
    keys = id_keys([f"d{number}" for number in range(1000)])
    assert len(set(keys.tolist())) == 1000
    assert len(set((mix(keys) >> np.uint64(48)).tolist())) > 950


def test_no_ids_give_no_keys():
    assert id_keys([]).shape == (0,)
