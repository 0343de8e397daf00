import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ConfigError, InputError
from negset.mining.places import EARTH_KM, distance_km, placed, read_places, unit_vectors
from schemas.config import GeoConfig

PLACE = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
TEXTS = {name: name for name in ("a", "b", "c")}


def km(one, other):
    left, right = (unit_vectors(np.array([place], dtype=np.float64)) for place in (one, other))
    return float(distance_km(left, right)[0])


def read(memory_snapshot, about, **options):
    snapshot = memory_snapshot(TEXTS, {"q": "x"}, [], about={"q": {"latitude": 0, "longitude": 0}, **about})
    return read_places(snapshot, GeoConfig(**options))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ((51.5074, -0.1278), (48.8566, 2.3522), 343.56),
        ((0, 179.9), (0, -179.9), 22.24),  # across the antimeridian, not round the globe
        ((90, 0), (90, 170), 0.0),  # a pole has every longitude
        ((89, 0), (89, 180), 222.39),  # over the pole, not along the parallel
        ((90, 5), (-90, 77), np.pi * EARTH_KM),
        ((10, 10), (10, 10), 0.0),
        ((10, 180), (10, -180), 0.0),
    ],
)
def test_distances(one, other, distance):
    assert km(one, other) == pytest.approx(distance, abs=0.005)
    assert km(one, other) == km(other, one)


def test_small_distances_keep_their_digits():
    # the arc cosine of a dot product would say 0 for ten centimetres
    assert km((45, 7), (45 + 9e-7, 7)) == pytest.approx(np.radians(9e-7) * EARTH_KM, rel=1e-6)


@given(one=PLACE, other=PLACE)
def test_a_distance_agrees_with_the_haversine_formula(one, other):
    (lat, lon), (lat2, lon2) = np.radians(one), np.radians(other)
    h = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    assert km(one, other) == pytest.approx(2 * EARTH_KM * np.arcsin(np.sqrt(min(h, 1.0))), abs=1e-3)


def test_numbers_and_their_texts_are_read_and_what_has_no_place_is_told_apart(memory_snapshot):
    places = read(memory_snapshot, {"a": {"latitude": "51.5", "longitude": -0.12}, "b": {"latitude": None}})
    assert placed(places.document_N3).tolist() == [0]
    assert places.degrees_Q.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("value", ["north", "NaN", "inf", 90.01, -91, True, [1], None])
def test_a_wrong_latitude_names_its_document(memory_snapshot, value):
    good = {"latitude": 1, "longitude": 1}
    with pytest.raises(InputError, match=r"1 documents have coordinates that are none: b \("):
        read(memory_snapshot, {"a": good, "b": {"latitude": value, "longitude": 3}})


def test_a_longitude_beyond_180_is_wrong_and_a_latitude_of_90_is_not(memory_snapshot):
    assert placed(read(memory_snapshot, {"a": {"latitude": -90, "longitude": -180}}).document_N3).tolist() == [0]
    with pytest.raises(InputError, match="one from -180 to 180"):
        read(memory_snapshot, {"a": {"latitude": 1, "longitude": 180.5}})


def test_a_column_that_nobody_has_is_an_error(memory_snapshot):
    with pytest.raises(ConfigError, match="'lat', which none of the queries has"):
        read(memory_snapshot, {"a": {"latitude": 1, "longitude": 1}}, latitude="lat")
    with pytest.raises(ConfigError, match="none of the documents has"):
        read(memory_snapshot, {})
