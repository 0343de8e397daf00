"""From a plan on disk to the batches of a training run."""

from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from negset import tables
from negset.batching.following import planned_run, training_plan
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.reading import PAPER, open_plan
from negset.errors import ArtifactError, ConfigError, ContractError
from negset.training.batches import collate_batch
from negset.training.examples import Examples
from schemas.batches import PlanManifest


def examples_of(inputs) -> Examples:
    return Examples(
        query_ids=list(inputs.query_ids),
        query_texts=list(inputs.query_ids),
        document_ids=list(inputs.document_ids),
        document_texts=list(inputs.document_ids),
        positives=inputs.positives,
        negatives=inputs.negatives,
        negative_weights=np.linspace(0.5, 1.5, len(inputs.negatives.rows)).astype(np.float32),
        known=inputs.known,
        left_out={},
    )


def written(inputs, folder, name="ngame", epochs=2, size=16, **options):
    found = find_plan(name)
    params = plan_params(found, options)
    counts, visits = make_plan(inputs, found, params, PlanSettings(5, size, epochs, passes=epochs), folder)
    manifest = PlanManifest(
        strategy=name,
        version=1,
        options=params.model_dump(),
        seed=5,
        batch_size=size,
        in_batch=True,
        split="train",
        dataset="small",
        set_version="v",
        queries=len(inputs.query_ids),
        never_visited=int((visits == 0).sum()),
        visits_per_query=visits_per_query(visits, epochs),
        epochs=tuple(counts),
    )
    (folder / PAPER).write_text(manifest.model_dump_json())
    return open_plan(folder)


def frame(opened, table, epoch):
    return pl.concat(opened.row_groups(table, epoch, None))


@pytest.mark.parametrize("group", [7, 131_072])
@pytest.mark.parametrize("name", ["ngame", "openshape", "tas-balanced", "graded"])
def test_the_run_gets_what_the_tables_say_whatever_the_row_groups(rich, tmp_path, monkeypatch, name, group):
    from negset.batching import making

    monkeypatch.setattr(making, "ROW_GROUP", group)
    inputs = rich(60)
    opened = written(inputs, tmp_path, name)
    examples = examples_of(inputs)
    for epoch in (0, 1):
        plan, masks = frame(opened, "batch_plan", epoch), list(opened.row_groups("batch_masks", epoch, None))
        masks = (
            pl.concat(masks)
            if masks
            else pl.DataFrame(schema={"batch": pl.Int32, "slot": pl.Int32, "doc_id": pl.String})
        )
        if group == 7:
            assert pq.ParquetFile(tmp_path / "batch_plan" / f"epoch-0000{epoch}.parquet").num_row_groups > 1
        batches = list(training_plan(opened, examples)(epoch))
        assert len(batches) == opened.manifest.epochs[epoch].batches
        for number, batch in enumerate(batches):
            rows = plan.filter(pl.col("batch") == number)
            assert [examples.query_ids[row] for row in batch.queries_B] == rows.get_column("query_id").to_list()
            assert [examples.document_ids[row] for row in batch.positives_B] == rows.get_column("positive_id").to_list()
            masked = masks.filter(pl.col("batch") == number)
            assert [
                (slot, examples.document_ids[row])
                for slot, row in zip(*(part.tolist() for part in batch.masked), strict=True)
            ] == masked.select("slot", "doc_id").rows()
            lists = rows.get_column("negative_ids").to_list()
            if batch.negatives is None:
                assert lists == [None] * len(lists)
            else:
                found = [batch.negatives.take(np.array([place]))[1].tolist() for place in range(len(lists))]
                assert [[examples.document_ids[row] for row in one] for one in found] == lists


def test_a_batch_of_a_plan_has_its_negatives_with_the_weights_of_the_set(rich, tmp_path):
    inputs = rich(60)
    examples = examples_of(inputs)
    opened = written(inputs, tmp_path, "tas-balanced", clusters=3)
    planned = next(iter(training_plan(opened, examples)(0)))
    batch = collate_batch(examples, planned, 5, 0)
    assert set(planned.negatives.rows.tolist()) <= set(batch.candidates_C.tolist())
    assert len(planned.negatives.rows) < examples.negatives.sizes()[planned.queries_B].sum()
    assert len(batch.cells.own_row_H) == len(planned.negatives.rows)


def test_in_batch_negatives_need_the_plan_and_the_run(rich, tmp_path):
    inputs = rich(60)
    opened = written(inputs, tmp_path, "task-pure")
    examples = examples_of(inputs)
    assert {one.in_batch for one in training_plan(opened, examples)(0)} == {True}
    assert {one.in_batch for one in training_plan(opened, examples, in_batch=False)(0)} == {False}
    never = written(inputs, tmp_path / "off", "task-pure", classes="task")
    assert {one.in_batch for one in training_plan(never, examples)(0)} == {False}


def test_a_plan_of_other_queries_is_refused_by_name(rich, tmp_path):
    inputs = rich(60)
    opened = written(inputs, tmp_path)
    fewer = replace(examples_of(inputs), query_ids=[f"x{row}" for row in range(60)])
    with pytest.raises(ContractError, match=r"names 60 queries that this run does not have: q000000.*train\.split"):
        list(training_plan(opened, fewer)(0))


def test_an_epoch_more_than_planned_is_refused(rich, tmp_path):
    opened = written(rich(60), tmp_path)
    run = planned_run(opened, examples_of(rich(60)))
    assert run.batches == [4, 4]
    with pytest.raises(ConfigError, match="has 2 epochs, epoch 3 was asked for"):
        list(run.plan(2))


def test_a_damaged_plan_is_named(rich, tmp_path):
    opened = written(rich(60), tmp_path)
    (tmp_path / "batch_plan" / "epoch-00001.parquet").write_bytes(b"torn")
    with pytest.raises(ArtifactError, match=r"epoch-00001\.parquet.*Make the plan again"):
        list(training_plan(opened, examples_of(rich(60)))(1))


def test_rows_are_in_the_registered_order_and_types(rich, tmp_path):
    opened = written(rich(60), tmp_path)
    for table in ("batch_plan", "batch_masks"):
        file = pq.ParquetFile(tmp_path / table / "epoch-00000.parquet")
        assert file.schema_arrow.remove_metadata().equals(tables.REGISTERED[table].remove_metadata())
    keys = frame(opened, "batch_plan", 0).select("epoch", "batch", "slot").rows()
    assert keys == sorted(keys)
