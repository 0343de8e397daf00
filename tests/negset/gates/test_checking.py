"""The gates on content over a set of real files: what is off is not there, and a column that nobody has is an error."""

import json
from dataclasses import dataclass

import polars as pl
import pytest

from negset import building
from negset.errors import ConfigError
from negset.gates.checking import against_previous, content_checks
from negset.snapshot import open_snapshot
from schemas.config import BuildConfig, EncoderConfig, MineConfig, PublishConfig, RecipeConfig, SourceConfig
from schemas.gates import ContaminationConfig, DriftConfig, GatesConfig, HubsConfig, PoisonConfig, ShortcutConfig


@dataclass(frozen=True)
class Made:
    """A configuration, the set that it leads to, and its snapshot."""

    config: BuildConfig
    selected: object
    snapshot: object
    counts: object

    def checks(self, **gates):
        config = self.config.model_copy(update={"gates": GatesConfig(**gates)})
        return {
            check.name: check
            for check in content_checks(config, self.selected.folder, self.selected.folder, self.snapshot)
        }


@pytest.fixture
def made(tmp_path, store, select, beir):
    """Give a function that builds the small collection with metadata in its documents, unpublished."""

    def make(**gates):
        lines = [json.loads(line) for line in (beir / "corpus.jsonl").read_text().splitlines()]
        for number, row in enumerate(lines):
            row |= {"licence": "secret" if number == 2 else "mit", "site": f"s{number % 3}"}
        (beir / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
        config = BuildConfig(
            name="small",
            source=SourceConfig(format="beir", path=str(beir)),
            encoder=EncoderConfig(dimensions=16),
            mine=MineConfig(miners=("dense", "bm25"), depth=20, splits=("train",)),
            recipe=RecipeConfig(name="naive", negatives=3),
            gates=GatesConfig(**gates),
            publish=PublishConfig(licence="mit"),
        )
        selected = select(config, store)
        snapshot = open_snapshot(store, selected.refs.mining.snapshot)
        return Made(config, selected, snapshot, building.selection_counts(store, selected.ref))

    return make


def test_all_gates_on_one_set(made):
    checks = made().checks(
        licences=("mit",), licence_column="licence", poison=PoisonConfig(source="site", property="licence")
    )
    assert list(checks) == [
        "candidates_hub_bm25",
        "candidates_hub_dense",
        "negatives_hub",
        "queries_evaluated",
        "queries_nearly_evaluated",
        "queries_evaluated_id",
        "documents_evaluated",
        "documents_nearly_evaluated",
        "negatives_shortcut",
        "set_licence",
        "documents_licence",
        "queries_skewed_topic",
        "documents_inserted_words",
        "documents_without_source",
    ]
    assert [name for name, check in checks.items() if not check.passed] == ["documents_licence"]
    assert checks["documents_licence"].rows == ({"doc_id": "d002", "licence": "secret"},)


def test_what_is_off_is_not_looked_at(made):
    off = {
        "hubs": HubsConfig(policy="off"),
        "shortcut": ShortcutConfig(policy="off"),
        "contamination": ContaminationConfig(near="off", documents="off", near_documents="off"),
    }
    assert list(made().checks(**off)) == ["queries_evaluated", "queries_evaluated_id"]


@pytest.mark.parametrize(
    "gates",
    [
        {"licences": ("mit",), "licence_column": "license"},
        {"poison": PoisonConfig(source="license")},
        {"poison": PoisonConfig(property="license")},
    ],
)
def test_a_column_that_no_document_has_is_an_error(made, gates):
    with pytest.raises(ConfigError, match=r"'license', which no document has \(did you mean 'licence'"):
        made().checks(**gates)


def test_contaminated_queries_are_dropped_with_their_reason(made, tmp_path, beir):
    texts = {row["_id"]: row["text"] for row in map(json.loads, (beir / "queries.jsonl").read_text().splitlines())}
    bench = tmp_path / "bench.txt"
    bench.write_text(f"{texts['q01'].upper()}\n{texts['q02']}, !\nsomething else\n")
    plain = made()
    near = made(evaluation=(str(bench),), contamination=ContaminationConfig(near="drop"))
    exact = made(evaluation=(str(bench),))
    kept = made(evaluation=(str(bench),), query_leaks="fail")

    def dropped(one):
        fates = one.selected.table("fates").filter(pl.col("fate") == "dropped")
        return dict(fates.select("query_id", pl.col("reason").cast(pl.String)).iter_rows())

    assert dropped(plain) == dropped(kept) == {}
    assert dropped(exact) == {"q01": "query_leak"}
    assert dropped(near) == {"q01": "query_leak", "q02": "near_leak"}
    failing = {
        name for name, check in kept.checks(evaluation=(str(bench),), query_leaks="fail").items() if not check.passed
    }
    assert failing == {"queries_evaluated", "queries_nearly_evaluated"}
    assert kept.checks(evaluation=(str(bench),))["queries_evaluated"].rows[0]["query_id"] == "q01"
    assert near.checks(evaluation=(str(bench),))["queries_nearly_evaluated"].passed


def test_keys_follow_evaluation_files_by_content_and_history(made, tmp_path):
    bench = tmp_path / "bench.txt"
    bench.write_text("something else\n")
    one = made()
    keys = [building.report_key(one.config, one.selected.ref, previous) for previous in (None, "a" * 16)]
    gates = one.config.gates
    for changed in (
        gates.model_copy(update={"evaluation": (str(bench),)}),
        gates.model_copy(update={"drift": DriftConfig(policy="warn")}),
        gates.model_copy(update={"licences": ("mit",)}),
        gates.model_copy(update={"hubs": HubsConfig(max_share=0.5)}),
    ):
        config = one.config.model_copy(update={"gates": changed})
        keys.append(building.report_key(config, one.selected.ref))
    assert len(set(keys)) == 6
    moved = tmp_path / "elsewhere.txt"
    moved.write_text(bench.read_text())
    config = one.config.model_copy(update={"gates": gates.model_copy(update={"evaluation": (str(moved),)})})
    assert building.report_key(config, one.selected.ref) == keys[2]


def test_drift_is_looked_at_unless_it_is_off_and_an_unreadable_version_warns(made, tmp_path):
    one = made()
    asked = (one.config, one.selected.folder, one.counts, {"documents": 60}, tmp_path / "sets")
    assert against_previous(*asked, None)[0].scope == "the first version: nothing to compare"
    (unread,) = against_previous(*asked, "a" * 16)
    assert (unread.passed, unread.severity) == (False, "warning")
    assert "no negative set in" in unread.advice
    off = one.config.model_copy(update={"gates": GatesConfig(drift=DriftConfig(policy="off"))})
    assert against_previous(off, *asked[1:], None) == ()


def test_a_set_without_negatives_is_looked_at_without_complaint(made):
    """What is missing is for the gates on rows to say."""
    one = made()
    for table in ("negatives", "candidates"):
        path = next((one.selected.folder / "data" / table).glob("*.parquet"))
        pl.read_parquet(path).clear().write_parquet(path)
    checks = one.checks()
    assert all(check.passed for check in checks.values())
    assert checks["negatives_hub"].value == 0
    assert checks["negatives_shortcut"].value is None
