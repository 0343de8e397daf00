"""A plan made anew: which plans may be, from which epoch on, by whose vectors, and what is checked."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from negset.batching import renewing
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import PlanSettings, find_plan, plan_params, plans
from negset.batching.reading import open_plan
from negset.batching.renewing import check_refresh, renew_plan, renewed_epochs, renewed_inputs
from negset.errors import ConfigError, ContractError
from schemas.batches import PlanManifest
from schemas.train import TrainConfig

OPTIONS = {
    "sample4geo": {"geo_epochs": 2},
    "ngame": {"size": 4, "doublings": "2"},
    "tas-balanced": {"clusters": 5},
    "task-pure": {"classes": "task"},
}
RENEWED = {"ngame", "openshape", "protoclip", "sample4geo", "tas-balanced"}


def other_vectors(inputs, seed=8):
    chance = np.random.default_rng(seed)

    def drawn(rows):
        vectors = chance.standard_normal((rows, 64)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    queries, documents = drawn(len(inputs.query_ids)), drawn(len(inputs.document_ids))
    return replace(inputs, vectors=lambda: queries, document_vectors=lambda rows: documents[rows])


def visited(inputs, name, epochs=4, only=None, size=16, **options):
    found = find_plan(name)
    params = plan_params(found, {**OPTIONS.get(name, {}), **options})
    settings = PlanSettings(3, size, found.epochs(epochs, params), passes=epochs, only=only)
    visit = found.open(inputs, settings, params)
    return [visit(epoch) for epoch in settings.visited], found, params


def same(one, other) -> bool:
    masked = [
        None if visits.suspects is None else list(zip(visits.suspects.visit_M, visits.suspects.document_M, strict=True))
        for visits in (one, other)
    ]
    rows = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("query_V", "batch_V"))
    return rows and masked[0] == masked[1]


@pytest.mark.parametrize("name", sorted(plans()))
def test_a_plan_says_which_of_its_epochs_follow_vectors_and_whether_their_number_of_batches_does(rich, name):
    """Whoever adds a plan and forgets to say it fails here."""
    inputs = rich(90)
    there, found, params = visited(inputs, name)
    changed, _, _ = visited(other_vectors(inputs), name)
    for epoch, (one, other) in enumerate(zip(there, changed, strict=True)):
        assert found.from_vectors(params, epoch) is not same(one, other)
        if not found.unsteady(inputs.positives, params):
            assert len(one.in_batch_B) == len(other.in_batch_B)
    assert (name in RENEWED) is any(found.from_vectors(params, epoch) for epoch in range(4))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sample4geo", {}),
        ("sample4geo", {"one_view": False}),
        ("tas-balanced", {"draw": "uniform"}),
        ("protoclip", {}),
        ("openshape", {"fill": True}),
    ],
)
def test_a_steady_plan_has_as_many_batches_whatever_the_vectors_say(rich, name, options):
    inputs = rich(90)
    found = find_plan(name)
    assert not found.unsteady(inputs.positives, plan_params(found, options))
    lengths = {
        tuple(len(one.in_batch_B) for one in visited(other_vectors(inputs, seed), name, **options)[0])
        for seed in range(6)
    }
    assert len(lengths) == 1


def test_views_of_one_place_make_the_number_of_batches_depend_on_vectors(plan_inputs):
    """The last seeds may all be views of what their batch has already: then there is one batch more."""
    shared = plan_inputs(24, positives=[[row % 5] for row in range(24)])
    found = find_plan("sample4geo")

    def lengths(**options):
        given = {"geo_epochs": 0, "nearest": 4, "others": 4, **options}
        visits = [visited(other_vectors(shared, seed), "sample4geo", 1, size=4, **given)[0][0] for seed in range(8)]
        return {len(one.in_batch_B) for one in visits}

    assert len(lengths()) > 1
    assert "one_view = false" in found.unsteady(shared.positives, plan_params(found, {}))
    assert lengths(one_view=False) == {6}
    assert not found.unsteady(shared.positives, plan_params(found, {"one_view": False}))
    assert not found.unsteady(plan_inputs(24).positives, plan_params(found, {}))


@pytest.mark.parametrize("name", sorted(RENEWED))
def test_an_epoch_is_the_same_whether_all_are_made_or_some(rich, name):
    inputs = rich(90)
    whole, _, _ = visited(inputs, name)
    for only in (range(1, 3), range(3, 4)):
        for epoch, one in zip(only, visited(inputs, name, only=only)[0], strict=True):
            assert same(one, whole[epoch])


def config(**changes):
    return TrainConfig(**{"plan": "ngame", "epochs": 4, "plan_refresh": 1, "batch_size": 16, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"plan": "shuffled"},
            "'shuffled' is made from vectors: .* one of ngame, openshape, protoclip, sample4geo, tas-",
        ),
        ({"plan": "task-pure"}, "none of the 4 epochs of the plan 'task-pure'"),
        ({"plan_options": {"size": 1, "doublings": ""}}, "none of the 4 epochs of the plan 'ngame'"),
        ({"plan_refresh": 4}, "plan_refresh = 4 renews nothing: of 4 epochs.*is 3"),
        ({"epochs": 0, "plan_refresh": 5}, "renews nothing: of 5 epochs"),
        ({"plan": "sample4geo"}, "none of the 4 epochs of the plan 'sample4geo'"),
        (
            {"plan": "openshape"},
            "number of batches of the plan 'openshape' depends on the vectors.*no whole group.*fill = true",
        ),
        ({"plan": "tas-balanced"}, "draw = 'uniform'"),
        ({"plan": "ngam"}, "did you mean 'ngame'"),
    ],
)
def test_what_cannot_be_renewed_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        check_refresh(config(**changes))


def test_what_can_be_renewed_or_is_not_to_be_passes(plan_inputs):
    check_refresh(config())
    check_refresh(config(plan="tas-balanced", plan_options={"draw": "size"}))
    check_refresh(config(plan="sample4geo", epochs=6))
    check_refresh(config(plan="openshape", plan_refresh=0))
    check_refresh(config(plan="openshape", plan_options={"fill": True}))
    shared = plan_inputs(4, positives=[[0], [0], [1], [2]]).positives
    with pytest.raises(ConfigError, match="one_view = false"):
        check_refresh(config(plan="sample4geo", epochs=6), shared)


def test_plans_are_renewed_every_so_many_epochs_for_those_alone():
    def of(epochs, **changes):
        return [renewed_epochs(config(epochs=epochs, **changes), epochs, epoch) for epoch in range(epochs)]

    assert of(3) == [range(0), range(1, 2), range(2, 3)]
    assert of(5, plan_refresh=2) == [range(0), range(0), *[range(2, 4)] * 2, range(4, 5)]
    assert of(3, plan_refresh=0) == [range(0)] * 3
    # Epochs near on the globe, and clusters of one, need no vectors: what was made before training stays.
    assert of(6, plan="sample4geo", plan_refresh=1) == [*[range(0)] * 4, range(4, 5), range(5, 6)]
    late = of(6, plan_options={"size": 1, "doublings": "4"}, plan_refresh=2)
    assert late == [*[range(0)] * 4, range(4, 6), range(4, 6)]


def made(inputs, folder, name="ngame", epochs=3, **options):
    found = find_plan(name)
    params = plan_params(found, options)
    counts, visits = make_plan(inputs, found, params, PlanSettings(5, 16, epochs, passes=epochs), folder)
    return PlanManifest(
        strategy=name,
        version=1,
        options=params.model_dump(),
        seed=5,
        batch_size=16,
        in_batch=True,
        split="train",
        dataset="small",
        set_version="v",
        queries=len(inputs.query_ids),
        never_visited=0,
        visits_per_query=visits_per_query(visits, epochs),
        epochs=tuple(counts),
    )


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("name", ["ngame", "protoclip"])
def test_by_the_vectors_of_before_it_is_the_plan_of_before_and_by_others_another(rich, tmp_path, name):
    inputs = rich(90)
    before = made(inputs, tmp_path / "before", name)
    renew_plan(before, lambda _encode: inputs, None, range(1, 3), tmp_path / "again")
    expected = {path: data for path, data in files(tmp_path / "before").items() if "epoch-00000" not in path}
    assert files(tmp_path / "again") == expected
    renewed = open_plan(tmp_path / "again").manifest
    assert renewed.epochs == before.epochs[1:]
    assert renewed.visits_per_query == (1.0, 1.0, 1.0)
    renew_plan(before, lambda _encode: other_vectors(inputs), None, range(1, 3), tmp_path / "other")
    assert files(tmp_path / "other") != expected


def test_another_number_of_batches_than_announced_is_refused(rich, tmp_path):
    inputs = rich(90)
    before = made(inputs, tmp_path / "before")
    first, second, third = before.epochs
    wrong = before.model_copy(update={"epochs": (first, second, third.model_copy(update={"batches": 7}))})
    with pytest.raises(ContractError, match="made anew, has 6 batches in epoch 2, and 7 were announced"):
        renew_plan(wrong, lambda _encode: inputs, None, range(1, 3), tmp_path / "again")
    assert not (tmp_path / "again" / "plan.json").exists()


def test_vectors_that_are_not_finite_are_named(rich, tmp_path):
    inputs = rich(90)
    before = made(inputs, tmp_path / "before")
    vectors = inputs.vectors().copy()
    vectors[4, 2] = np.nan
    diverged = replace(inputs, vectors=lambda: vectors)
    with pytest.raises(ContractError, match="1 query vectors that are not finite: q000004"):
        renew_plan(before, lambda _encode: diverged, None, range(1, 3), tmp_path / "again")


def test_a_renewed_plan_keeps_what_plans_promise(rich, tmp_path, monkeypatch):
    """The checks are those of a plan that is made: one that leaves out queries does not pass."""
    inputs = rich(90)
    before = made(inputs, tmp_path / "before")
    ngame = find_plan("ngame")

    def half(*given):
        visit = ngame.open(*given)
        return lambda epoch: replace(visit(epoch), query_V=visit(epoch).query_V // 2 * 2)

    monkeypatch.setattr(renewing, "find_plan", lambda _name: replace(ngame, open=half))
    with pytest.raises(ContractError, match="visits queries twice"):
        renew_plan(before, lambda _encode: inputs, None, range(1, 2), tmp_path / "again")


def test_vectors_are_of_the_texts_of_the_set_in_their_order_and_the_rest_is_the_sets(rich, monkeypatch):
    """The miner's vectors must not come back by another way."""
    inputs = rich(6)
    monkeypatch.setattr(renewing, "plan_inputs", lambda _view: inputs)
    examples = SimpleNamespace(
        query_texts=[f"ask {row}" for row in range(6)],
        document_texts=[f"body {row}" for row in range(len(inputs.document_ids))],
    )
    asked = []

    def encode(texts, role):
        asked.append((role, texts))
        return np.full((len(texts), 2), 0.5, dtype=np.float32)

    found = renewed_inputs(lambda: SimpleNamespace(examples=examples), encode)
    assert asked == []
    assert found.vectors().shape == found.vectors().shape == (6, 2)
    assert found.document_vectors(np.array([3, 1])).shape == (2, 2)
    assert asked == [("query", examples.query_texts), ("document", ["body 3", "body 1"])]
    assert found.places is inputs.places
    assert found.query_ids == inputs.query_ids
