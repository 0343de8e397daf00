"""A dataset of three months, built and published without an orchestrator and without gates."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from negset import building
from negset.configuration import parse_config
from negset.errors import ContractError, NoDataError
from negset.fingerprint import file_digest
from negset.periods.attempting import attempt_build
from negset.periods.choosing import chosen
from negset.periods.expected import expected_partitions, newest_partition, partition_config
from negset.periods.status import read_status
from negset.publishing.publish import Draft, publish_set
from negset.snapshot import open_snapshot
from negset.store import Store
from schemas.config import BuildConfig
from schemas.expectations import CheckResult, GateReport
from schemas.refs import SnapshotRef

NOW = datetime(2024, 4, 10, tzinfo=UTC)
MONTHS = ("2024-01", "2024-02", "2024-03")
WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch".split()


class RefusedError(ContractError):
    """What a partition that is broken fails with."""


@dataclass
class Dataset:
    """Rows of a source, the build file over them, and what was published of it; `select` runs the rooms."""

    folder: Path
    select: object
    documents: dict[str, str] = field(default_factory=dict)
    queries: dict[str, tuple[str, str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    options: dict = field(default_factory=dict)
    built: list[str] = field(default_factory=list)

    def add_document(self, month: str) -> str:
        name = f"d{len(self.documents):03}"
        self.documents[name] = month
        return name

    def add_query(self, month: str, positive: str) -> None:
        self.queries[f"q{len(self.queries):03}"] = (month, positive)

    def write(self) -> None:
        place = self.folder / "source"
        place.mkdir(parents=True, exist_ok=True)
        texts = [f"{WORDS[n % 12]} {WORDS[n // 12 % 12]} {name}" for n, name in enumerate(self.documents)]
        pl.DataFrame(
            {"doc_id": list(self.documents), "text": texts, "created_at": [f"{m}-05" for m in self.documents.values()]}
        ).write_parquet(place / "corpus.parquet")
        asked = {"query_id": list(self.queries), "text": [f"about {name}" for name in self.queries]}
        pl.DataFrame({**asked, "asked_at": [f"{month}-20" for month, _ in self.queries.values()]}).write_parquet(
            place / "queries.parquet"
        )
        judged = {"query_id": list(self.queries), "doc_id": [positive for _, positive in self.queries.values()]}
        pl.DataFrame({**judged, "relevance": 1}).write_parquet(place / "qrels.parquet")

    @property
    def config(self) -> BuildConfig:
        values = {
            "name": "news",
            "source": {"format": "parquet", "path": str(self.folder / "source")},
            "mine": {"miners": ["random"], "random": {"depth": 6}},
            "recipe": {"name": "random", "negatives": 2},
            "partitions": {"kind": "monthly", "start": "2024-01", "column": "queries.asked_at", "as_of": True},
        }
        return parse_config(BuildConfig, {**values, **self.options}, "build.toml")

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    @property
    def sets(self) -> Path:
        return self.folder / "sets"

    def home(self, key: str) -> Path:
        return self.sets / "news" / key

    def status(self):
        expected = expected_partitions(self.config.partitions, NOW)
        newest = newest_partition(self.config.partitions, expected)
        return read_status(self.config, expected, self.store, self.sets, NOW, newest)

    def states(self) -> dict[str, str]:
        return {one.key: one.state for one in self.status().partitions}

    def why(self, key: str) -> str:
        return next(one.why for one in self.status().partitions if one.key == key)

    def backfill(self, only: str = "") -> list[str]:
        """Build what is chosen, one failure not stopping the rest; give what was built."""
        self.built.clear()
        partitions = {one.key: one for one in expected_partitions(self.config.partitions, NOW)}
        for key in chosen(self.status().partitions, only):
            own = partition_config(self.config, partitions[key])
            try:
                attempt_build(own, self.home(key), self.store, self._publish, only)
            except (NoDataError, RefusedError):
                continue  # one failure does not stop the rest; any other error is a defect
        return list(self.built)

    def _publish(self, config: BuildConfig) -> str:
        if config.partition in self.broken:
            message = f"the gate said no to {config.partition}"
            raise RefusedError(message)
        selected = self.select(config, self.store)
        snapshot = open_snapshot(self.store, SnapshotRef.model_validate(selected.refs.mining.snapshot.model_dump()))
        gates = self.folder / "gates"
        gates.mkdir(exist_ok=True)
        check = CheckResult(
            name="all", description="all", table="queries", severity="critical", passed=True, unexpected=0
        )
        files = {
            path.relative_to(selected.folder).as_posix(): file_digest(path)
            for path in (selected.folder / "data").rglob("*.parquet")
        }
        report = GateReport(expected=1, evaluated=1, checks=(check,), files=files)
        (gates / "validation.json").write_text(report.model_dump_json())
        draft = Draft(
            folder=selected.folder,
            gates=gates,
            facts=building.describe(config, selected.refs, self.store),
            counts=building.selection_counts(self.store, selected.ref),
            selection=selected.folder,
            snapshot=snapshot,
            rows_sha256=building.selection_digests(self.store, selected.ref),
        )
        self.built.append(config.partition)
        return publish_set(draft, self.sets, by="test", at=NOW).fingerprint

    def latest(self) -> dict[str, str]:
        """Give the version that each partition points to."""
        return {path.parent.name: path.read_text().strip() for path in sorted((self.sets / "news").glob("*/LATEST"))}


@pytest.fixture
def dataset(tmp_path, select):
    """Give a dataset with ten documents and two queries in each of three months."""
    made = Dataset(tmp_path, select)
    for month in MONTHS:
        names = [made.add_document(month) for _ in range(10)]
        made.add_query(month, names[0])
        made.add_query(month, names[1])
    made.write()
    return made


@pytest.fixture
def new_dataset(tmp_path, select):
    """Give a function that makes an empty dataset in a folder of its own."""
    return lambda name: Dataset(tmp_path / name, select)
