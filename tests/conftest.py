"""What every test may use; the environment is set before anything imports Prefect."""

import json
import logging
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

os.environ |= {
    "PREFECT_HOME": tempfile.mkdtemp(prefix="negset-prefect-"),
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}

import hypothesis
import polars as pl
import pytest

from benchmarks.fault_proxy import FaultProxy, fault_proxy
from flows.local_server import local_server
from negset import building, selecting
from negset.encoders.encoder import Encoder, open_encoder, prepare_encoder
from negset.indexes.preparing import prepare_indexes
from negset.mining.cells import mine_cells
from negset.mining.duplicates import find_duplicates
from negset.mining.statistics import prepare_statistics
from negset.objects.objects import Objects
from negset.objects.opening import open_objects
from negset.objects.patience import Patience
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.tables import read_table
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef, GuideRefs, LedgerRefs, MiningRefs, Ref, SelectionRef

# The first example of a test pays for imports and caches; a deadline would make the suite depend on the machine.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

Judgement = tuple[str, str, int]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real collections, or skip."""
    usual = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEGSET_DATA", usual))
    if not folder.is_dir():
        pytest.skip(f"no real collections at {folder}; set NEGSET_DATA")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store."""
    return Store(tmp_path / "store")


@dataclass(frozen=True)
class Selected:
    """A selection made without an orchestrator, and what it was made from."""

    ref: SelectionRef
    refs: LedgerRefs
    folder: Path

    def table(self, name: str) -> pl.DataFrame:
        """Read a table of the set."""
        return pl.concat([read_table(path) for path in sorted((self.folder / "data" / name).rglob("*.parquet"))])

    def negatives(self) -> dict[str, list[str]]:
        """Give the documents chosen for each query, by rank."""
        chosen = self.table("negatives").sort("query_id", "rank").group_by("query_id", maintain_order=True)
        return {str(key[0]): frame["doc_id"].to_list() for key, frame in chosen}

    def rejections(self, query: str) -> dict[str, str]:
        """Give the rule that rejected each candidate of `query`."""
        mine = self.table("candidates").filter((pl.col("query_id") == query) & pl.col("rejected_by").is_not_null())
        return dict(mine.select("doc_id", pl.col("rejected_by").cast(pl.String)).iter_rows())


def select_set(config: BuildConfig, store: Store, encoder: Encoder | None = None) -> Selected:
    """Run the rooms of `config` up to the selection, with `encoder` in place of the configured one if given."""
    snapshot = build_snapshot(config.source, store)
    opened = open_snapshot(store, snapshot)
    refs = MiningRefs(snapshot=snapshot)
    if "dense" in config.mine.miners:
        prepared = prepare_encoder(config.encoder, opened, store)
        refs = MiningRefs(snapshot=snapshot, **_embed_roles(config.encoder, prepared, refs, store, encoder))
    if "bm25" in config.mine.miners:
        refs = refs.model_copy(
            update={"statistics": prepare_statistics(config.mine.bm25, opened, store, dataset=config.name)}
        )
    if building.uses_indexes(config):
        indexes = prepare_indexes(building.open_inputs(config, refs, store), store)
        refs = refs.model_copy(update={"indexes": indexes})
        building.require_index_recall(config, refs, store)
    inputs = building.open_inputs(config, refs, store)
    cells = {miner: mine_cells(inputs, miner, store) for miner in config.mine.miners}
    ledger = LedgerRefs(mining=refs, cells=cells, duplicates=find_duplicates(opened, store))
    wanted = building.bind(config).teachers
    if building.GUIDE in wanted:
        guide = config.teach.guide.encoder
        vectors = _embed_roles(guide, prepare_encoder(guide, opened, store), refs, store)
        ledger = ledger.model_copy(update={"guide": GuideRefs(**vectors)})
    scores = {teacher: building.teach(config, ledger, teacher, store) for teacher in wanted}
    ledger = ledger.model_copy(update={"scores": scores})
    selected = selecting.select(config, ledger, store)
    return Selected(selected, ledger, store.open(selected.kind, selected.fingerprint))


def _embed_roles(
    config: EncoderConfig, prepared: EncoderRef, refs: MiningRefs, store: Store, encoder: Encoder | None = None
) -> dict[str, Ref]:
    """Embed queries and documents by `encoder`, or by the one that was `prepared`."""
    opened, model = open_snapshot(store, refs.snapshot), encoder or open_encoder(config, store, prepared)
    vectors: dict[str, Ref] = {"encoder": prepared}
    for role in ("query", "document"):
        ids, texts = building.role_texts(opened, role)
        key = vectors_fingerprint(prepared, refs.snapshot.content, role)
        vectors[f"{role}_vectors"] = embed_texts(model, ids, texts, role, store, config.shard_size, key)
    return vectors


@pytest.fixture
def select() -> Callable[..., Selected]:
    """Give `select_set`."""
    return select_set


def write_tables(
    folder: Path,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Sequence[Judgement],
    splits: Mapping[str, str] | None = None,
) -> Path:
    """Write a collection as Parquet tables: id to text, id to text, and judgements."""
    folder.mkdir(parents=True, exist_ok=True)
    split = [(splits or {}).get(query, "train") for query in queries]
    pl.DataFrame({"doc_id": list(documents), "text": list(documents.values())}).write_parquet(folder / "corpus.parquet")
    pl.DataFrame({"query_id": list(queries), "text": list(queries.values()), "split": split}).write_parquet(
        folder / "queries.parquet"
    )
    schema = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32}
    pl.DataFrame(qrels, schema=schema, orient="row").write_parquet(folder / "qrels.parquet")
    return folder


@pytest.fixture
def collection() -> Callable[..., Path]:
    """Give `write_tables`."""
    return write_tables


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run flows against one server; its database and results lie in a folder of the test run."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_RESULTS_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    results = tmp_path_factory.mktemp("results")
    with local_server(os.environ) as url:
        changes = {
            PREFECT_API_URL: url,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            PREFECT_RESULTS_LOCAL_STORAGE_PATH: results,
        }
        os.environ["PREFECT_API_URL"] = url
        with temporary_settings(changes):
            yield url
        del os.environ["PREFECT_API_URL"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty NEGSET_HOME."""
    monkeypatch.setenv("NEGSET_HOME", str(tmp_path / "home"))
    for name in ("NEGSET_STORE", "NEGSET_SETS", "NEGSET_RUNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch marsh north oxbow".split()


def write_beir(folder: Path, documents: int = 60, queries: int = 24) -> Path:
    """Write a collection whose queries share two words with their positive; every third query is in `test`."""
    draw = random.Random(5)
    texts = {f"d{place:03}": " ".join(draw.choices(WORDS, k=12)) + f" item{place}" for place in range(documents)}
    asked = {f"q{place:02}": f"d{place * 2:03}" for place in range(queries)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qrels").mkdir(exist_ok=True)
    _write_jsonl(folder / "corpus.jsonl", [{"_id": key, "title": "", "text": text} for key, text in texts.items()])
    spoken = {key: " ".join(texts[doc].split()[2:7]) + f" ask{key}" for key, doc in asked.items()}
    _write_jsonl(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in spoken.items()])
    for split, members in (
        ("train", [q for q in asked if int(q[1:]) % 3]),
        ("test", [q for q in asked if not int(q[1:]) % 3]),
    ):
        rows = "".join(f"{query}\t{asked[query]}\t1\n" for query in members)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def _write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Give a small collection in the BEIR layout."""
    return write_beir(tmp_path / "beir")


@pytest.fixture
def build_file(tmp_path: Path, beir: Path) -> Path:
    """Give a build file for the small collection."""
    path = tmp_path / "build.toml"
    path.write_text(
        'name = "small"\n[source]\nformat = "beir"\npath = "beir"\n[encoder]\ndimensions = 16\n'
        '[mine]\nminers = ["dense", "bm25"]\ndepth = 20\nsplits = ["train"]\n[recipe]\nname = "naive"\nnegatives = 3\n'
    )
    return path


@pytest.fixture(scope="session")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a BERT with random weights, of one layer and few words, as a cross-encoder; give its folder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross") / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), **sizes, num_labels=1, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CrossEncoder(str(folder), device="cpu").save_pretrained(str(folder))
    return folder


BUCKET = "sets-bucket"
QUICK = Patience(deadline=20, first=0.01, longest=0.1, request=0.5)
SECRET = "canary-secret-9f2c"


@dataclass
class Bucket:
    """An address in the bucket, new for each test, and the proxy before it."""

    address: str
    proxy: FaultProxy

    def open(self, patience: Patience = QUICK) -> Objects:
        return open_objects(self.address, patience, allow_http=True)

    def inject(self, *kinds: str, only: str = "") -> None:
        """Have the next requests (of the method `only`, if given) meet these faults, one each."""
        left = list(kinds)
        self.proxy.plan = lambda method, _path: left.pop(0) if left and only in ("", method) else None

    def inject_at_random(self, kinds: tuple[str, ...], share: float, seed: int) -> None:
        chance = random.Random(seed)
        self.proxy.plan = lambda _method, _path: chance.choice(kinds) if chance.random() < share else None


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FaultProxy]:
    for name in ("obstore", "moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'negset[dev]'")
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="k",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    try:
        with fault_proxy(host, port, lambda _method, _path: None, stall=0.8) as proxy:
            yield proxy
    finally:
        server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, request) -> Iterator[Bucket]:
    values = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    s3_server.plan = lambda _method, _path: None
    s3_server.injected.clear()
    yield Bucket(f"s3://{BUCKET}/{sha256(request.node.nodeid.encode()).hexdigest()[:12]}", s3_server)
    s3_server.plan = lambda _method, _path: None


@pytest.fixture
def monthly_file(tmp_path: Path) -> Path:
    """Give a build file for a dataset of three months."""
    return write_monthly(tmp_path)


@pytest.fixture(scope="session")
def monthly_world() -> Callable[[Path], Path]:
    """Give `write_monthly`."""
    return write_monthly


def write_monthly(home: Path) -> Path:
    """Write a build file for a dataset of three months: in each a corpus that grew, for the same queries."""
    draw, folder = random.Random(7), home / "log"
    texts = {
        f"d{month}{place:02}": " ".join(draw.choices(WORDS, k=12)) + f" item{month}{place}"
        for month in (1, 2, 3)
        for place in range(24)
    }
    asked = {f"q{place:02}": f"d1{place:02}" for place in range(0, 24, 2)}
    write_tables(
        folder,
        texts,
        {key: " ".join(texts[doc].split()[2:7]) + f" ask{key}" for key, doc in asked.items()},
        [(key, doc, 1) for key, doc in asked.items()],
    )
    corpus = pl.read_parquet(folder / "corpus.parquet")
    dated = corpus.with_columns(created_at=pl.format("2024-0{}-02", pl.col("doc_id").str.slice(1, 1)))
    dated.write_parquet(folder / "corpus.parquet")
    path = home / "monthly.toml"
    path.write_text(
        'name = "log"\n[source]\nformat = "parquet"\npath = "log"\npartition_by = "created_at"\n'
        '[encoder]\nbackend = "hashing"\ndimensions = 16\n[mine]\nminers = ["dense"]\ndepth = 20\n'
        '[recipe]\nname = "naive"\nnegatives = 3\n'
        '[partitions]\nkind = "monthly"\nstart = "2024-01"\nend = "2024-03"\nas_of = true\n'
    )
    return path
