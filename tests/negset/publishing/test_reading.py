import pytest

from negset.errors import ArtifactError, ContractError
from negset.publishing.reading import read_set


def test_a_set_is_read_by_its_own_folder_or_a_versions(published):
    for path in (published, published.parents[1]):
        found = read_set(path)
        assert (found.folder, found.manifest.dataset) == (published, "tiny")


def test_tables_come_whole_or_by_split(published):
    found = read_set(published)
    assert found.table("negatives").height == 7
    assert found.table("negatives", "test")["query_id"].unique().to_list() == ["q3"]
    assert found.table("ntuples", "train").columns == ["query", "positive", "negative_1", "negative_2"]
    assert found.table("ntuples", "dev").height == 0
    assert found.table("documents", "train").height == 8  # documents belong to no split
    assert found.table("negatives")["miner"].to_list()[:3] == ["dense", "bm25", "dense"]


def test_a_table_that_is_not_there_is_named(published):
    with pytest.raises(ContractError, match="no table 'batches'; it has candidates, diagnostics, documents"):
        read_set(published).table("batches")


def test_damaged_data_is_never_read(published):
    path = published / "data" / "negatives" / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"negatives/part-00000\.parquet has sha256"):
        read_set(published).table("negatives")
