from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, InputError
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.miners.run import read_run
from negset.mining.times import FIRST, LAST
from schemas.config import MineConfig, RunConfig, TimeConfig

QUERY_IDS = pl.Series(["0042", "1e5", "NA"])
DOC_IDS = pl.Series(["a", "b", "c", "d"])


def write(tmp_path, text):
    path = tmp_path / "run.trec"
    path.write_bytes(text.encode())
    return path


def pairs(run):
    return list(zip(run.query.tolist(), run.doc.tolist(), run.score.tolist(), strict=True))


def test_ids_are_strings_and_white_space_separates(tmp_path):
    path = write(tmp_path, "0042 Q0 b 1 2.5 tag\r\n1e5\tQ0\ta   7\t-1e-1 tag\n\nNA Q0 c 1 3 my tag\n")
    assert pairs(read_run(path, QUERY_IDS, DOC_IDS)) == [(0, 1, 2.5), (1, 0, -0.1), (2, 2, 3.0)]


def test_ranks_follow_from_the_scores_not_from_the_file(tmp_path, memory_snapshot):
    path = write(tmp_path, "q Q0 d 1 1.0 t\nq Q0 b 2 2.0 t\nq Q0 c 3 2.0 t\nq Q0 a 4 0.5 t\nother Q0 a 1 9 t\n")
    miner = opened(path, memory_snapshot)
    hits = miner.open_partition(documents([0, 1, 2, 3]))(queries(3))
    assert list(zip(hits.doc.tolist(), hits.score.tolist(), strict=True)) == [(1, 2.0), (2, 2.0), (3, 1.0)]


def test_partitions_share_the_run(tmp_path, memory_snapshot):
    path = write(tmp_path, "q Q0 d 1 1.0 t\nq Q0 b 2 2.0 t\nq Q0 a 4 0.5 t\n")
    miner = opened(path, memory_snapshot)
    assert miner.open_partition(documents([0, 3]))(queries(9)).doc.tolist() == [1, 0]
    assert miner.open_partition(documents([1]))(queries(9)).doc.tolist() == [0]
    assert miner.open_partition(documents([2]))(queries(9)).doc.tolist() == []


def test_a_pair_has_a_score_where_the_run_has_one(tmp_path, memory_snapshot):
    miner = opened(write(tmp_path, "q Q0 d 1 1.25 t\nq Q0 b 2 2.0 t\n"), memory_snapshot)
    scores = miner.score_pairs(queries(1), documents([0, 1, 2, 3]), np.zeros(4, int), np.array([3, 2, 1, 0]))
    np.testing.assert_array_equal(scores, [1.25, np.nan, 2.0, np.nan])


def test_parquet_is_read_too(tmp_path):
    path = tmp_path / "run.parquet"
    pl.DataFrame({"score": [1.5, 2.5], "doc_id": ["a", "b"], "query_id": ["NA", "NA"], "other": [1, 2]}).write_parquet(
        path
    )
    assert pairs(read_run(path, QUERY_IDS, DOC_IDS)) == [(2, 0, 1.5), (2, 1, 2.5)]


def test_unknown_ids_are_counted(tmp_path, caplog):
    known = "".join(f"NA Q0 {doc} 1 {n} t\n" for n, doc in enumerate("abcd"))
    known += "".join(f"1e5 Q0 {doc} 1 {n} t\n" for n, doc in enumerate("abcd"))
    known += "".join(f"0042 Q0 {doc} 1 {n} t\n" for n, doc in enumerate("abz"))
    path = write(tmp_path, known + "x Q0 a 1 1 t\nx Q0 b 1 1 t\ny Q0 a 1 1 t\n")
    run = read_run(path, QUERY_IDS, DOC_IDS)
    assert (run.unknown_queries, run.unknown_documents) == (2, 1)
    assert "2 unknown queries, 1 rows of unknown documents" in caplog.text


def test_rows_from_the_future_are_counted_aloud(tmp_path, memory_snapshot, caplog):
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    created = {name: noon + timedelta(seconds=place - 2) for place, name in enumerate("abcd")}  # d a second after
    snapshot = memory_snapshot({name: name for name in "abcd"}, {"q": "x"}, [], created=created, asked={"q": noon})
    path = write(tmp_path, "q Q0 d 1 4 t\nq Q0 c 1 3 t\nq Q0 b 1 2 t\n")
    for limit, said in ((True, f"{path}: 1 of 3 rows are of documents created after"), (False, "")):
        caplog.clear()
        config = MineConfig(miners=("run",), run=RunConfig(path=str(path)), time=TimeConfig(limit=limit))
        find_miner("run").open_miner(MiningInputs(snapshot, config, 13))
        assert said in caplog.text
        assert bool(caplog.text) is limit


def test_later_documents_take_no_rank(tmp_path, memory_snapshot):
    path = write(tmp_path, "q Q0 d 1 4 t\nq Q0 c 1 3 t\nq Q0 b 1 2 t\nq Q0 a 1 1 t\n")
    names = DOC_IDS.gather([0, 1, 2, 3])
    search = opened(path, memory_snapshot).open_partition(
        Documents(names, names, np.arange(4), np.array([5, 4, FIRST, 6]))
    )
    known = Queries(np.array([0]), pl.Series(["q"]), pl.Series(["x"]), np.array([2]), np.array([5]))
    hits = search(known)
    assert list(zip(hits.doc.tolist(), hits.score.tolist(), strict=True)) == [(2, 3.0), (1, 2.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NA Q0 a 1 1 t\nNA Q0 b 2 nan t\n", r"run\.trec, line or row 2: the score is no finite number"),
        ("NA Q0 a 1 inf t\n", "line or row 1: the score is no finite number"),
        ("NA Q0 a 1 high t\n", "line or row 1: the score is no finite number"),
        ("NA Q0 a 1 1 t\n\nNA Q0 b 2 0.5\n", r"line 3: 'NA Q0 b 2 0.5' is not 'query_id Q0 doc_id rank score tag'"),
        ("NA Q0 a 1 1 t\nNA Q0 a 2 1 t\n", "line or row 2: query 'NA' has document 'a' twice"),
        ("NA Q0 z 1 1 t\nNA Q0 a 2 2 t\n", "1 of 2 rows name documents that the corpus lacks, such as z"),
        ("zz Q0 a 1 1 t\n", "none of its queries is in the snapshot"),
        ("", "none of its queries is in the snapshot"),
    ],
)
def test_what_is_no_run_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_run(write(tmp_path, text), QUERY_IDS, DOC_IDS)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "run.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_run(path, QUERY_IDS, DOC_IDS)
    pl.DataFrame({"qid": ["NA"], "doc_id": ["a"], "score": [1.0]}).write_parquet(path)
    with pytest.raises(InputError, match="lacks query_id"):
        read_run(path, QUERY_IDS, DOC_IDS)
    path = tmp_path / "run.trec"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_run(path, QUERY_IDS, DOC_IDS)


def test_a_missing_run_is_a_mistake_of_the_config(tmp_path, memory_snapshot):
    with pytest.raises(ConfigError, match="is no file"):
        opened(tmp_path / "nothing", memory_snapshot)


def opened(path, memory_snapshot):
    snapshot = memory_snapshot({name: name for name in "abcd"}, {"q": "x"}, [])
    config = MineConfig(miners=("run",), run=RunConfig(path=str(path)))
    return find_miner("run").open_miner(MiningInputs(snapshot, config, 13))


def documents(rows):
    names = DOC_IDS.gather(rows)
    return Documents(names, names, np.array(rows), np.full(len(rows), FIRST))


def queries(depth):
    return Queries(np.array([0]), pl.Series(["q"]), pl.Series(["x"]), np.array([depth]), np.array([LAST]))
