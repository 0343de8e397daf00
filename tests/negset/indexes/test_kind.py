from typing import get_args

import pytest

from negset.errors import ConfigError
from negset.indexes.choosing import CANDIDATES
from negset.indexes.kind import AUTO, EXACT, FILES, Setting, check_options, find_kind
from schemas.config import DenseConfig, IndexKind


def test_every_kind_of_the_configuration_has_a_file():
    assert {EXACT, AUTO, *FILES} == set(get_args(IndexKind))
    assert set(CANDIDATES) == set(FILES)
    for name in FILES:
        module = find_kind(name)
        assert set(module.KNOBS) <= set(Setting.model_fields)
        settings = module.settings(50_000, Setting())
        assert {knob for one in settings for knob, value in one if value} == set(module.KNOBS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": "hnsw", "nprobe": 8}, r"sets nprobe, but its index 'hnsw' has ef_search: remove it"),
        ({"ef_search": 8}, r"sets ef_search, but its index 'exact' has no knob"),
        ({"index": "auto", "refine_factor": 8}, r"'auto' has no knob"),
    ],
)
def test_a_knob_that_would_do_nothing_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        check_options(DenseConfig(**options))


def test_a_knob_set_by_hand_is_the_only_setting():
    check_options(DenseConfig(index="ivf-pq", nprobe=8, refine_factor=4))
    fixed = Setting(nprobe=8, refine_factor=4)
    assert find_kind("ivf-pq").settings(50_000, fixed) == [fixed]
    assert {one.nprobe for one in find_kind("ivf-pq").settings(50_000, Setting(nprobe=8))} == {8}
    assert find_kind("hnsw").settings(50_000, Setting(ef_search=99)) == [Setting(ef_search=99)]
    assert str(fixed) == "nprobe 8, refine_factor 4"


def test_settings_of_codes_grow_in_cost():
    settings = find_kind("ivf-pq").settings(200_000, Setting())
    assert settings[0] == Setting(nprobe=4, refine_factor=2)
    assert settings[-1] == Setting(nprobe=1024, refine_factor=16)
