"""A plan that is made anew while a model is trained by it: when, by which model, and the same after a kill."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from negset.batching.following import planned_run
from negset.batching.inputs import PlanInputs
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.reading import PAPER, open_plan
from negset.errors import ArtifactError, ConfigError, ContractError
from negset.lots import id_keys
from negset.training import loop
from negset.training.examples import SetTables, build_examples
from negset.training.loop import clear_run, run_fingerprint, train_encoder
from negset.training.model import StaticStart, open_model
from negset.training.replanning import keep_plan
from schemas.batches import PlanManifest
from schemas.train import TrainConfig

NO_PAIRS = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
CONFIG = TrainConfig(
    batch_size=6,
    epochs=5,
    checkpoint_every=1,
    device="cpu",
    plan="ngame",
    plan_options={"size": 6, "doublings": ""},
    plan_refresh=2,
    learning_rate=0.1,
)
"""Four batches an epoch: the plan is made anew at the start of epoch 2 (step 8) and of epoch 4 (step 16)."""


@pytest.fixture(scope="module")
def planted(planted_once):
    return planted_once


@pytest.fixture(scope="module")
def examples(planted):
    return build_examples(planted.tables(), NO_PAIRS, pl.Series([], dtype=pl.String), split="train")


def inputs_of(examples, encode) -> PlanInputs:
    return PlanInputs(
        query_ids=examples.query_ids,
        keys_Q=id_keys(examples.query_ids),
        document_ids=examples.document_ids,
        positives=examples.positives,
        known=examples.known,
        negatives=examples.negatives,
        vectors=lambda: encode(examples.query_texts, "query"),
    )


def made_before(examples, config, encode, folder):
    """Give the plan that was made before training, by other vectors than those of the model."""
    found = find_plan(config.plan)
    params = plan_params(found, config.plan_options)
    settings = PlanSettings(config.seed, config.batch_size, config.epochs, config.in_batch, config.epochs)
    counts, visits = make_plan(inputs_of(examples, encode), found, params, settings, folder)
    manifest = PlanManifest(
        strategy=config.plan,
        version=found.version,
        options=params.model_dump(),
        seed=config.seed,
        batch_size=config.batch_size,
        in_batch=config.in_batch,
        split="train",
        dataset="planted",
        set_version="v",
        queries=len(examples.query_ids),
        never_visited=0,
        visits_per_query=visits_per_query(visits, config.epochs),
        epochs=tuple(counts),
    )
    (folder / PAPER).write_text(manifest.model_dump_json())
    return open_plan(folder)


def miner(texts, _role):
    """Give vectors that no model of these tests gives."""
    return np.random.default_rng(3).standard_normal((len(texts), 8)).astype(np.float32)


@pytest.fixture(scope="module")
def by(examples, tmp_path_factory):
    opened = made_before(examples, CONFIG, miner, tmp_path_factory.mktemp("before"))
    return planned_run(opened, examples, inputs_by=lambda encode: inputs_of(examples, encode))


class KilledError(Exception):
    pass


def trained(planted, examples, by, folder, *, settings=CONFIG, kill_at=0, watch=lambda _model, _done: None):
    model = open_model(settings, planted.start())
    watch(model, 0)

    def progress(step, done, total):
        watch(model, done)
        if done == kill_at:
            raise KilledError

    training = train_encoder(model, examples, settings, folder, progress, by=by)
    return training, {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


@contextmanager
def taken():
    """Note the epoch and the queries of each batch that is trained on."""
    batches = []
    collate = loop.collate_batch

    def noted(examples, planned, seed, epoch, **more):
        batches.append((epoch, planned.queries_B.tolist()))
        return collate(examples, planned, seed, epoch, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "collate_batch", noted)
        yield batches


@pytest.fixture(scope="module")
def whole(planted, examples, by, tmp_path_factory):
    """Give what a run without a kill leaves: what it said, its parameters, its batches, query vectors by steps done."""
    seen = []
    with taken() as batches:
        training, parameters = trained(
            planted,
            examples,
            by,
            tmp_path_factory.mktemp("whole"),
            watch=lambda model, _done: seen.append(model.encode(examples.query_texts, "query")),
        )
    return training, parameters, batches, seen


def test_the_plan_follows_the_model_as_it_is_at_the_start_of_every_second_epoch(examples, whole):
    """One that is made of the start's vectors, or an epoch too early or too late, has other batches."""
    training, _, batches, seen = whole
    assert len(training.losses) == 20

    def expected(epoch, step):
        found = find_plan("ngame")
        visit = found.open(
            inputs_of(examples, lambda *_: seen[step] if step >= 0 else miner(examples.query_texts, "query")),
            PlanSettings(CONFIG.seed, 6, 5),
            plan_params(found, CONFIG.plan_options),
        )(epoch)
        return [rows.tolist() for rows in np.split(visit.query_V, np.flatnonzero(np.diff(visit.batch_V)) + 1)]

    run = [[rows for at, rows in batches if at == epoch] for epoch in range(5)]
    before = -1
    assert run == [expected(epoch, step) for epoch, step in enumerate([before, before, 8, 8, 16])]
    assert run[2] not in (expected(2, before), expected(2, 0), expected(2, 4))
    assert run[3] not in (expected(3, before), expected(3, 0), expected(3, 12))
    assert run[4] not in (expected(4, before), expected(4, 8))


def test_the_model_is_asked_for_no_more_than_the_epochs_that_follow(planted, examples, by, tmp_path):
    asked = []

    def make(encode, epochs, folder):
        asked.append(epochs)
        by.renewal.make(encode, epochs, folder)

    watched = replace(by, renewal=replace(by.renewal, make=make))
    trained(planted, examples, watched, tmp_path)
    assert asked == [range(2, 4), range(4, 5)]


@pytest.mark.parametrize("stopped_after", [8, 9, 11, 13, 18])
def test_a_killed_run_takes_the_batches_of_the_one_that_was_not(planted, examples, by, whole, tmp_path, stopped_after):
    """Killed before, at and after a plan is made anew, and at the start of an epoch that shares it."""
    training, parameters, expected, _ = whole
    with pytest.raises(KilledError):
        trained(planted, examples, by, tmp_path, kill_at=stopped_after)
    with taken() as batches:
        resumed, same = trained(planted, examples, by, tmp_path)
    assert resumed.resumed_at == stopped_after - 1
    assert batches == expected[resumed.resumed_at :]
    assert resumed.losses == training.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    clear_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_plan_that_is_not_kept_makes_another_run(planted, examples, by, whole, tmp_path, monkeypatch):
    """What the test above is worth: the wrong version makes the plan again with the model of the checkpoint."""
    with pytest.raises(KilledError):
        trained(planted, examples, by, tmp_path, kill_at=11)
    for path in tmp_path.glob("replanned-*"):
        shutil.rmtree(path)
    monkeypatch.setattr(loop, "check_kept_plan", lambda *_: None)
    resumed, _ = trained(planted, examples, by, tmp_path)
    assert resumed.losses[:10] == whole[0].losses[:10]
    assert resumed.losses[10:] != whole[0].losses[10:]


@pytest.mark.parametrize("stopped_after", [11, 14])
def test_a_run_does_not_go_on_without_the_plan_of_its_epoch(planted, examples, by, tmp_path, stopped_after):
    """Nor at the start of an epoch that shares the plan of the one before."""
    once = CONFIG.model_copy(update={"keep_checkpoints": 1})
    with pytest.raises(KilledError):
        trained(planted, examples, by, tmp_path, settings=once, kill_at=stopped_after)
    for path in tmp_path.glob("replanned-*"):
        shutil.rmtree(path)
    with pytest.raises(ArtifactError, match=r"replanned-\w+-2 is gone or damaged"):
        trained(planted, examples, by, tmp_path, settings=once)


def test_a_damaged_plan_costs_steps_and_nothing_else(planted, examples, by, whole, tmp_path):
    """The checkpoint at which the model was what it was then is still there: the plan is made again."""
    kept = CONFIG.model_copy(update={"keep_checkpoints": 4})
    with pytest.raises(KilledError):
        trained(planted, examples, by, tmp_path, settings=kept, kill_at=11)
    (file,) = (tmp_path).glob("replanned-*-2/batch_plan/epoch-00003.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    resumed, _ = trained(planted, examples, by, tmp_path, settings=kept)
    assert resumed.resumed_at == 8
    assert len(resumed.passed_over) == 2
    assert "epoch-00003.parquet has" in resumed.passed_over[0]
    assert resumed.losses == whole[0].losses


def test_a_kill_while_the_plan_is_written_leaves_none(planted, examples, by, whole, tmp_path):

    def make(encode, epochs, folder):
        by.renewal.make(encode, epochs, folder)
        raise KilledError

    with pytest.raises(KilledError):
        trained(planted, examples, replace(by, renewal=replace(by.renewal, make=make)), tmp_path)
    resumed, _ = trained(planted, examples, by, tmp_path)
    assert resumed.resumed_at == 8
    assert resumed.losses == whole[0].losses


def test_what_is_whole_is_not_made_again_and_what_is_not_is(tmp_path):
    path = tmp_path / "plan"
    keep_plan(path, lambda folder: (folder / "rows").write_text("one"))
    keep_plan(path, lambda _folder: pytest.fail("made a second time"))
    (path / "rows").write_text("two")
    keep_plan(path, lambda folder: (folder / "rows").write_text("three"))
    assert (path / "rows").read_text() == "three"
    (path / "rows").unlink()
    keep_plan(path, lambda folder: (folder / "rows").write_text("four"))
    assert (path / "rows").read_text() == "four"
    assert [left.name for left in tmp_path.iterdir()] == ["plan"]


def test_a_run_that_has_not_what_the_plan_is_made_of_says_so(planted, examples, by, tmp_path):
    with pytest.raises(ConfigError, match="was not given it: negset train gives it"):
        trained(planted, examples, replace(by, renewal=None), tmp_path)
    random_order = CONFIG.model_copy(update={"plan": "shuffled", "plan_options": {}})
    with pytest.raises(ConfigError, match="none of the 5 epochs of the plan 'shuffled'"):
        trained(planted, examples, None, tmp_path, settings=random_order)


def test_places_that_queries_share_are_found_before_the_first_step(planted, examples, by, tmp_path):
    """The planted queries of a topic share their first positive."""
    views = CONFIG.model_copy(update={"plan": "sample4geo", "plan_options": {"geo_epochs": 1}})
    with pytest.raises(ConfigError, match="one_view = false"):
        trained(planted, examples, by, tmp_path, settings=views, kill_at=1)


def test_a_model_that_diverged_stops_where_the_plan_is_made(planted, examples, by, tmp_path):
    def make(encode, epochs, folder):
        by.renewal.make(lambda texts, role: np.full_like(encode(texts, role), np.nan), epochs, folder)

    with pytest.raises(ContractError, match="24 query vectors that are not finite"):
        trained(planted, examples, replace(by, renewal=replace(by.renewal, make=make)), tmp_path)


def test_a_run_that_renews_is_another_run_and_one_that_does_not_keeps_its_name(planted, examples):
    def named(settings):
        return run_fingerprint(open_model(settings, planted.start()), examples, settings)

    never = CONFIG.model_copy(update={"plan_refresh": 0})
    assert named(never) != named(CONFIG)
    fields = {name: value for name, value in never.model_dump().items() if name != "plan_refresh"}
    assert named(TrainConfig(**fields)) == named(never)


def families():
    """Give a world in which style hides what queries ask for, and labels alone say what that is.

    Documents of a family share a word. A query of the same family that asks for another document is a truly hard batch
    mate; the miner sees the style, which says nothing.
    """
    documents = [(f"d{topic:02}", None, f"kin{topic // 4} kin{topic // 4} body{topic}") for topic in range(32)]
    queries = [
        (f"q{topic:02}x{place}", f"clan{topic // 4} ask{topic}" + f" style{(topic * 5 + place * 7) % 12}" * 3, "train")
        for topic in range(32)
        for place in range(6)
    ]
    frame = pl.DataFrame(documents, schema={"doc_id": pl.String, "title": pl.String, "text": pl.String}, orient="row")
    asked = pl.DataFrame(queries, schema=["query_id", "text", "split"], orient="row")
    labels = asked.select("query_id", doc_id="d" + pl.col("query_id").str.slice(1, 2))
    negatives = NO_PAIRS.with_columns(rank=pl.lit(1, dtype=pl.Int64))
    words = sorted(
        {word for _, text, _ in queries for word in text.split()} | set(" ".join(d[2] for d in documents).split())
    )
    drawn = torch.randn(len(words), 32, generator=torch.Generator().manual_seed(5)).numpy().astype(np.float32)
    tables = SetTables(asked, frame, labels, negatives)
    return build_examples(tables, NO_PAIRS, pl.Series([], dtype=pl.String), split="train"), StaticStart(words, drawn)


def hard_mates(opened, epoch) -> float:
    """Give the share of the pairs of a batch that are of one family and ask for different documents."""
    rows = pl.concat(opened.row_groups("batch_plan", epoch, ["batch", "query_id"]))
    rows = rows.with_columns(topic=pl.col("query_id").str.slice(1, 2).cast(pl.Int64))
    pairs = rows.join(rows, on="batch").filter(pl.col("query_id") != pl.col("query_id_right"))
    hard = (pl.col("topic") // 4 == pl.col("topic_right") // 4) & (pl.col("topic") != pl.col("topic_right"))
    return float(pairs.select(hard.mean()).item())


def test_the_renewed_plan_has_more_truly_hard_batch_mates_than_the_stale_one(tmp_path):
    examples, start = families()
    settings = CONFIG.model_copy(
        update={
            "batch_size": 12,
            "epochs": 9,
            "plan_refresh": 8,
            "plan_options": {"size": 12, "doublings": ""},
            "learning_rate": 0.0,
        }
    )
    model = open_model(settings, start)
    stale = made_before(examples, settings, model.encode, tmp_path / "before")
    by = planned_run(stale, examples, inputs_by=lambda encode: inputs_of(examples, encode))
    train_encoder(model, examples, settings, tmp_path / "run", by=by)
    (renewed,) = (tmp_path / "run").glob("replanned-*-8")
    chance = 18 / 191
    assert hard_mates(stale, 8) > chance
    assert hard_mates(open_plan(renewed), 8) > 1.5 * hard_mates(stale, 8)
