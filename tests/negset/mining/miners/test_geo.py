from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from negset.mining.cells import cells_content, mine_cells, plan_cells
from negset.mining.ledger import candidate_blocks
from negset.mining.miner import Documents, MiningInputs, Queries
from negset.mining.miners import geo
from negset.mining.places import EARTH_KM, Places, distance_km, unit_vectors
from schemas.config import GeoConfig, MineConfig, TimeConfig

CITIES = {
    "0": (48.8566, 2.3522),  # Paris has the first id
    "berlin": (52.52, 13.405),
    "fiji": (-17.8, 179.9),
    "oxford": (51.752, -1.2577),
    "paris2": (48.8566, 2.3522),
    "taveuni": (-16.85, -179.97),
}
QUERIES = {"london": (51.5074, -0.1278), "vanua": (-16.9, 179.95)}


@pytest.fixture
def inputs(memory_snapshot, memory_vectors):
    def make(documents=CITIES, queries=QUERIES, partitions=1, created=None, asked=None, **mine):
        about = {
            name: {"latitude": place[0], "longitude": place[1]}
            for name, place in {**documents, **queries}.items()
            if place
        }
        first = min(documents)
        snapshot = memory_snapshot(
            {name: f"text {name}" for name in documents},
            {name: f"ask {name}" for name in queries},
            [(name, first, 1) for name in queries],
            partitions,
            about=about,
            created=created,
            asked=asked,
        )
        config = MineConfig(**{"miners": ("geo",), "depth": 2, **mine})
        return MiningInputs(snapshot, config, 13, "encoder", memory_vectors(), memory_vectors(), dataset="cities")

    return make


def proposed(rows):
    found = {}
    for query, doc, _score in sorted(rows, key=lambda row: (row[0], -row[2], row[1])):
        found.setdefault(query, []).append(doc)
    return found


def haversine(one, other):
    (lat, lon), (lat2, lon2) = one, other
    return np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2


def test_the_nearest_come_first_and_one_place_goes_by_id(inputs, cell_rows, store):
    rows = cell_rows(inputs(), "geo", store)
    # the first document can be taken as any other, and nothing is far that lies across the antimeridian
    assert proposed(rows)["london"] == ["oxford", "0", "paris2"]
    assert proposed(rows)["vanua"][:2] == ["taveuni", "fiji"]
    scores = {(query, doc): score for query, doc, score in rows}
    assert scores["london", "0"] == pytest.approx(-343.556535, abs=1e-6)
    assert -12 < scores["vanua", "taveuni"] < -10


def test_least_and_greatest_distance(inputs, cell_rows, store):
    rows = cell_rows(inputs(geo=GeoConfig(min_km=100, max_km=500)), "geo", store)
    assert proposed(rows) == {"london": ["0", "paris2"], "vanua": ["fiji"]}
    # what is too near takes no place in the list
    far = cell_rows(inputs(geo=GeoConfig(min_km=100)), "geo", store)
    assert proposed(far)["london"] == ["0", "paris2", "berlin"]
    with pytest.raises(ValidationError, match="max_km 5 is below min_km 6"):
        GeoConfig(min_km=6, max_km=5)


def test_what_has_no_place_is_in_no_proposal_and_is_counted(inputs, cell_rows, store, caplog):
    rows = cell_rows(inputs({**CITIES, "nowhere": None}, {**QUERIES, "lost": None}, depth=99), "geo", store)
    assert {doc for _query, doc, _score in rows} == set(CITIES)
    assert {query for query, _doc, _score in rows} == set(QUERIES)
    assert "1 of 3 queries and 1 of 7 documents have no coordinates" in caplog.text


def test_d6_the_first_document_is_a_neighbour_like_any_other(inputs, cell_rows, store):
    """Sample4Geo keeps a neighbour where its number is true, which 0 is not: Paris, the first by id, would be gone."""
    given = inputs(queries={"london": QUERIES["london"], "here": CITIES["0"]})
    found = proposed(cell_rows(given, "geo", store))
    assert found["london"][:2] == ["oxford", "0"]
    assert found["here"][0] == "0"


def test_d5_degrees_are_no_radians(inputs, cell_rows, store):
    # 400 places: who feeds degrees to a formula that wants radians finds 4 % of the neighbours
    chance = np.random.default_rng(3)
    places = np.column_stack([chance.uniform(25, 49, 400), chance.uniform(-124, -67, 400)])
    documents = {f"d{row:03}": tuple(place) for row, place in enumerate(places.tolist())}
    queries = {f"q{row:03}": tuple(place) for row, place in enumerate(places.tolist()[:40])}
    found = proposed(cell_rows(inputs(documents, queries, depth=15), "geo", store))
    overlap = {name: 0 for name in ("radians", "degrees")}
    for row in range(40):
        for name, points in (("radians", np.radians(places)), ("degrees", places)):
            far = haversine(points[row], points.T)
            nearest = {f"d{doc:03}" for doc in np.lexsort((np.arange(400), far))[:16]}
            overlap[name] += len(nearest & set(found[f"q{row:03}"]))
    assert overlap["radians"] == 40 * 16
    assert overlap["degrees"] < 0.15 * 40 * 16


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), depth=st.integers(1, 30), least=st.sampled_from([0, 60, 3000]))
def test_it_finds_what_a_full_sort_finds(seed, depth, least):
    chance = np.random.default_rng(seed)
    # a coarse grid has ties, and clusters a metre wide where cosines cannot tell places apart
    degrees = chance.integers(-3, 4, (40, 2)) * chance.choice([1e-5, 1.0, 30.0])
    vectors = unit_vectors(degrees.astype(np.float64))
    places = Places(vectors[:5], vectors, degrees[:5])
    created = chance.integers(0, 3, 40)
    until = chance.integers(0, 3, 5)
    text = pl.Series([""] * 40)
    documents = Documents(text, text, np.arange(40), created)
    queries = Queries(np.arange(5), text[:5], text[:5], np.full(5, depth), until)
    hits = geo._open_partition(places, GeoConfig(min_km=least), documents)(queries)
    expected = []
    for query in range(5):
        far = np.round(distance_km(np.tile(vectors[query], (40, 1)), vectors), 6)
        order = [doc for doc in np.lexsort((np.arange(40), far)) if far[doc] >= least and created[doc] <= until[query]]
        expected += [(query, doc) for doc in order[:depth]]
    assert list(zip(hits.query.tolist(), hits.doc.tolist(), strict=True)) == expected


def test_partitions_leave_no_trace(inputs, store):
    def frame(partitions):
        given = inputs(partitions=partitions, miners=("geo", "dense"))
        cells = {miner: mine_cells(given, miner, store) for miner in ("geo", "dense")}
        return next(iter(candidate_blocks(given, cells, store)))

    whole = frame(1)
    assert frame(3).equals(whole)
    # what only the other miner proposed has a distance too, and so has the positive
    assert whole["score_geo"].null_count() == 0
    assert whole.filter(query=0)["positive_score_geo"][0] == pytest.approx(-343.556535, abs=1e-6)


def test_coordinates_that_changed_are_mined_again(inputs, cell_rows, store):
    before = inputs(partitions=3)
    mine_cells(before, "geo", store)
    moved = inputs({**CITIES, "oxford": (-33.9, 151.2)}, partitions=3)
    assert proposed(cell_rows(moved, "geo", store))["london"][0] == "0"
    cells = [{cell.fingerprint for cell in plan_cells(given, "geo")} for given in (before, moved)]
    assert len(cells[0] & cells[1]) == 2  # the partition of the document alone
    away = inputs(queries={**QUERIES, "london": (-17, 179.9)}, partitions=3)
    assert proposed(cell_rows(away, "geo", store))["london"][:2] == ["taveuni", "fiji"]
    assert cells_content(away, "geo") != cells_content(before, "geo") != cells_content(moved, "geo")


def test_what_a_query_cannot_know_is_not_proposed(inputs, cell_rows, store):
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    created = {name: noon for name in CITIES} | {"oxford": noon + timedelta(seconds=1)}
    limited = inputs(created=created, asked={"london": noon}, time=TimeConfig(limit=True))
    found = proposed(cell_rows(limited, "geo", store))
    assert found["london"] == ["0", "paris2", "berlin"]
    assert cells_content(limited, "geo") != cells_content(inputs(), "geo")


def test_the_radius_is_that_of_the_mean_sphere():
    assert EARTH_KM == 6371.0088
