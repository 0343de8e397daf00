import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from negset.fingerprint import identity
from negset.publishing.publish import publish_set
from schemas.config import PublishConfig


def publish(tiny_set, folder, config):
    draft = tiny_set.draft_of(tiny_set.stage(folder / "staged"), config=config)
    return Path(publish_set(draft, folder / "sets", by="ada", at=datetime(2026, 1, 2, tzinfo=UTC)).path)


@pytest.fixture
def contract(tiny_set, tmp_path):
    folder = publish(tiny_set, tmp_path, {"publish": {"contract": True}})
    return yaml.safe_load((folder / "contract.odcs.yaml").read_text())


def test_a_contract_names_every_column_its_type_and_the_keys(contract):
    negatives = next(table for table in contract["schema"] if table["name"] == "negatives")
    columns = {column["name"]: column for column in negatives["properties"]}
    assert {name for name, column in columns.items() if column.get("primaryKey")} == {"query_id", "rank"}
    types = {name: columns[name]["logicalType"] for name in ("rank", "score", "miner", "scores")}
    assert types == {"rank": "integer", "score": "number", "miner": "string", "scores": "array"}
    assert (columns["rank"]["required"], columns["score"]["required"]) == (True, False)
    assert negatives["quality"] == [
        {"name": "negatives_present", "type": "text", "description": "The negatives table has rows <b>"}
    ]


def test_the_standard_takes_a_contract(contract):
    standard = pytest.importorskip(
        "open_data_contract_standard.model", reason="pip install open-data-contract-standard"
    )
    read = standard.OpenDataContractStandard.from_string(json.dumps(contract))
    assert [table.name for table in read.schema_][:2] == ["candidates", "diagnostics"]


def test_only_who_asks_gets_a_contract(tiny_set, tmp_path):
    assert not (publish(tiny_set, tmp_path, {"publish": {"keep_candidates": True}}) / "contract.odcs.yaml").exists()


def test_sets_that_ask_for_none_keep_their_identity():
    """A wrong version would write `contract: false` into every identity, and give every set a new id."""
    assert "contract" not in identity(PublishConfig())
    assert identity(PublishConfig(contract=True))["contract"] is True
