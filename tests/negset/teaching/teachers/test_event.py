from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import event
from schemas.config import MineConfig
from schemas.teach import TeachConfig

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def scored(memory_snapshot, teaching_inputs):
    def score(documents, asked=NOON, key="izmir", window="30d", shift=timedelta(0), column="place"):
        about = {name: {"place": where} for name, (where, _created) in documents.items() if where is not None}
        if key is not None:
            about["q"] = {"place": key}
        snapshot = memory_snapshot(
            {name: "earthquake" for name in documents},
            {"q": "earthquake"},
            [],
            created={name: created and created + shift for name, (_where, created) in documents.items()},
            asked={"q": asked and asked + shift},
            about=about,
        )
        config = TeachConfig.model_validate({"event": {"key": column, "window": window}})
        mining = MiningInputs(snapshot, MineConfig(), 13)
        opened = event.open_teacher(teaching_inputs(mining=mining, config=config))
        rows = np.arange(len(documents))
        return dict(zip(sorted(documents), opened.score(Pairs(rows * 0, rows)).tolist(), strict=True))

    return score


QUAKES = {
    "a2019": ("izmir", datetime(2019, 6, 1, tzinfo=UTC)),
    "b2024": ("izmir", NOON - 2 * DAY),
    "c_elsewhere": ("oslo", NOON - 2 * DAY),
    "d_later": ("izmir", NOON + 60 * DAY),
    "e_soon": ("izmir", NOON + 2 * DAY),
    "f_no_key": (None, NOON),
    "g_undated": ("izmir", None),
}
TRUTH = {"a2019": 0.5, "b2024": 1, "c_elsewhere": 0, "d_later": 0, "e_soon": 1, "f_no_key": 0, "g_undated": 1}


def test_key_and_time_say_what_a_document_is_to_the_query(scored):
    assert scored(QUAKES) == TRUTH


def test_only_differences_of_times_count(scored):
    assert scored(QUAKES, shift=timedelta(days=-9000, seconds=7)) == TRUTH


def test_the_border_is_within(scored):
    documents = {
        "a": ("izmir", NOON - 30 * DAY),
        "b": ("izmir", NOON - 30 * DAY - SECOND),
        "c": ("izmir", NOON + 30 * DAY),
        "d": ("izmir", NOON + 30 * DAY + SECOND),
    }
    assert scored(documents) == {"a": 1, "b": 0.5, "c": 1, "d": 0}


def test_a_query_without_a_time_or_a_key(scored):
    assert scored(QUAKES, asked=None)["a2019"] == 1  # cannot be shown to be older
    assert set(scored(QUAKES | {"h": ("oslo", NOON)}, key="bergen").values()) == {0}


def test_a_column_that_nobody_has_and_one_that_is_not_named(scored):
    with pytest.raises(ConfigError, match=r"teach\.event\.key names the column 'plaice'"):
        scored(QUAKES, column="plaice")
    with pytest.raises(ConfigError, match=r"teach\.event\.key is empty"):
        event.check(TeachConfig(), MineConfig())
