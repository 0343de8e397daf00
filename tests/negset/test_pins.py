from negset.pins import pin_path, read_pin, set_pin
from schemas.config import Bm25Config

LABELLED = Bm25Config(pin="2024")


def test_the_first_pin_stays(store):
    assert read_pin(LABELLED, store, "news") == ""
    assert set_pin(LABELLED, store, "news", "aaa") == "aaa"
    assert set_pin(LABELLED, store, "news", "bbb") == "aaa"
    assert read_pin(LABELLED, store, "news") == "aaa"
    assert pin_path(LABELLED, store, "news").read_text() == "aaa\n"


def test_dataset_label_and_settings_each_have_their_own(store):
    set_pin(LABELLED, store, "news", "aaa")
    assert read_pin(LABELLED, store, "other") == ""
    assert read_pin(Bm25Config(pin="2025"), store, "news") == ""
    assert read_pin(Bm25Config(pin="2024", k1=1.2), store, "news") == ""


def test_without_a_label_nothing_is_pinned(store):
    pin_path(Bm25Config(), store, "news").parent.mkdir(parents=True)
    pin_path(Bm25Config(), store, "news").write_text("aaa\n")
    assert read_pin(Bm25Config(), store, "news") == ""
