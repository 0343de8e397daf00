"""What training on each recipe's set is worth, beside sentence-transformers' sets on the same vectors.

    python -m benchmarks.downstream --data FOLDER --model FOLDER --home FOLDER [--collections scifact,cosqa,...]
                                    [--kinds adapter,static] [--seeds 5] [--in-batch 3] [--out FILE] [--quick]

For each collection: the training queries are mined once (dense and BM25); negatives are chosen by every shipped
recipe that the miners can feed, by the recipe that `negset tune` picks on the training queries alone, and by the modes
of sentence-transformers' `mine_hard_negatives`. Probes (see negset/probing) then measure all on the split `test`, over
several seeds. `--in-batch N` also trains the static encoder on some of the sets as `negset train` does, with in-batch
negatives, N seeds each. English queries alone; of more than 8,000 training and 3,000 test queries, those whose texts
have the smallest hashes. `--model` is a folder of sentence-transformers; it encodes in bfloat16 and cuts texts at 128
tokens. Vectors and ledgers stay in `--home` for the next run, and what `--out` holds already is not measured again.
`--quick` makes a small collection and vectors of its own. The last line is one JSON object.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.false_negatives import MODES, World, generated, mined_negatives
from flows.commands.tune import tune_config
from flows.session import prefect_session
from negset.building import encoder_of
from negset.lots import id_keys
from negset.mining.positives import labelled_positives
from negset.mining.recipe import shipped_recipes
from negset.probing.bootstrap import compare_with
from negset.probing.candidates import Candidate, list_candidates
from negset.probing.choosing import distinct_ledgers
from negset.probing.collection import ProbeCollection, open_collection
from negset.probing.examples import ProbeSet, number_set
from negset.probing.measuring import Measured
from negset.probing.opening import configured_snapshot, open_probe
from negset.probing.report import MEASURE, plan_folds, probe_sets, report_sets
from negset.probing.selecting import ledger_key, read_ledger, select_set
from negset.snapshot import Snapshot, open_snapshot
from negset.text import normalise_text
from schemas.config import BuildConfig
from schemas.train import TrainConfig
from tasks.place import Place

SPLITS: Final = {"cosqa": {"dev": "train", "qa-dev": "train", "test": "test"}}
"""What the splits of a collection are taken for, where train and test are not among them."""
LIMITS: Final = {"train": 8000, "test": 3000}
SEED: Final = 13
PEER: Final = "sentence-transformers: "
TUNED: Final = "tuned"


def main() -> None:
    """Measure every collection, print tables and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--collections", default="scifact,cosqa,esco_occ,tldr")
    parser.add_argument("--kinds", default="adapter,static")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--in-batch", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="a generated collection, two minutes")
    options = parser.parse_args()
    if not options.quick and not (options.data and options.model):
        parser.error("--data and --model, or --quick")
    found = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).absolute()
        os.environ["NEGSET_HOME"] = str(home)
        with prefect_session():
            for name in ["generated"] if options.quick else options.collections.split(","):
                for result in measure_collection(name, options, home, found.get(name, {})):
                    found[name] = result
                    if options.out:
                        options.out.write_text(json.dumps(found, indent=1))
    print(json.dumps({"seeds": options.seeds, "collections": found}))


def measure_collection(
    name: str, options: argparse.Namespace, home: Path, known: dict[str, object]
) -> Iterator[dict[str, object]]:
    """Mine, select, tune and measure one collection; give what is `known` of it after each step."""
    place = home / "collections" / name
    config = build_config(name, place, options)
    sample_collection(options.data / name, place, name) if not options.quick else write_generated(place)
    result = dict(known)
    tuned = _tuned_before(config, result)
    if tuned is None:
        tuned, tuning, _ = tune_config(config, (), "adapter", 0)
        result["tuned"] = {"recipe": tuned.name, **tuning.numbers()}
        print(f"{name}: tuned to {tuned.name} of {len(tuning.rows)}, {tuning.trainings} trainings", flush=True)
        yield result
    store = Place().open_store()
    snapshot = open_snapshot(store, configured_snapshot(config, store))
    collection = open_collection(snapshot)
    sets = [*recipe_sets(config, tuned, collection), *peer_sets(config, snapshot, collection)]
    folds, held_out = plan_folds(collection, "test", options.seeds, SEED)
    result["documents"], result["trained"] = len(collection.doc_ids), len(folds[0].trained)
    encoder = encoder_of(config, configured_snapshot(config, store), store)
    for kind in (one for one in options.kinds.split(",") if one not in result):
        probe = open_probe(kind, snapshot, collection, encoder, store)
        seeds = range(SEED, SEED + options.seeds)
        measured = probe_sets(probe, collection, sets, folds, seeds, partial(print, kind, flush=True))
        report = report_sets(measured, sets, kind, held_out, SEED)
        result[kind] = {**report.numbers(), "tuned_against_peer": against_peer(measured)}
        print(table(name, kind, result[kind]), flush=True)
        yield result
    if options.in_batch and "in_batch" not in result:
        result["in_batch"] = train_in_batch(config, snapshot, sets, result, options.in_batch, home / "runs" / name)
        print(json.dumps({name: result["in_batch"]}), flush=True)
        yield result


def _tuned_before(config: BuildConfig, result: Mapping[str, object]) -> Candidate | None:
    """Give the recipe that an earlier run tuned to."""
    tuned = result.get("tuned")
    if not isinstance(tuned, dict):
        return None
    return next(one for one in list_candidates(config).tried if one.name == tuned["recipe"])


def build_config(name: str, place: Path, options: argparse.Namespace) -> BuildConfig:
    """Give the configuration that a collection is mined and tuned under."""
    encoder: dict[str, object] = {
        "backend": "sentence-transformers",
        "model": options.model,
        "dtype": "bfloat16",
        "max_length": 128,
        "device": "cpu",
    }
    if options.quick:
        files = {f"{role}_vectors": str(place / f"{role}_vectors.parquet") for role in ("query", "document")}
        encoder = {"backend": "precomputed", **files}
    return BuildConfig.model_validate(
        {
            "name": name,
            "source": {"format": "parquet", "path": str(place)},
            "encoder": encoder,
            "mine": {"miners": ["dense", "bm25"], "splits": ["train"]},
            "recipe": {"name": "perc-pos", "negatives": 4},
        }
    )


def sample_collection(source: Path, place: Path, name: str, limits: Mapping[str, int] = LIMITS) -> None:
    """Write the collection at `source` to `place`: English queries of the two splits, not more than `limits`."""
    names = SPLITS.get(name, {"train": "train", "test": "test"})
    queries = pl.read_parquet(source / "queries.parquet")
    if "language" in queries.columns:
        queries = queries.filter(pl.col("language") == "en")
    queries = queries.filter(pl.col("split").is_in(list(names))).with_columns(pl.col("split").replace_strict(names))
    lots = id_keys([f"{SEED}:{normalise_text(text)}" for text in queries["text"]])
    order = pl.int_range(pl.len()).over("split")
    chosen = (
        queries.with_columns(_lot=pl.Series(lots))
        .sort("_lot", "query_id")
        .filter(order < pl.col("split").replace_strict(limits))
        .select("query_id", "text", "split")
        .sort("query_id")
    )
    qrels = pl.read_parquet(source / "qrels.parquet").select("query_id", "doc_id", "relevance")
    place.mkdir(parents=True, exist_ok=True)
    pl.read_parquet(source / "corpus.parquet").select("doc_id", "title", "text").write_parquet(place / "corpus.parquet")
    chosen.write_parquet(place / "queries.parquet")
    qrels.join(chosen, on="query_id", how="semi").write_parquet(place / "qrels.parquet")


def write_generated(place: Path) -> None:
    """Write a generated collection of 2,000 documents and 100 queries, half of them held out, and its vectors."""
    corpus, queries, qrels, documents_ND, queries_QD = generated()
    place.mkdir(parents=True, exist_ok=True)
    split = ["train" if row % 2 else "test" for row in range(queries.height)]
    corpus.write_parquet(place / "corpus.parquet")
    queries.with_columns(split=pl.Series(split)).write_parquet(place / "queries.parquet")
    qrels.write_parquet(place / "qrels.parquet")
    for role, ids, vectors_MD in (
        ("query", queries["query_id"], queries_QD),
        ("document", corpus["doc_id"], documents_ND),
    ):
        pl.DataFrame({"id": ids, "vector": vectors_MD.tolist()}).write_parquet(place / f"{role}_vectors.parquet")


def recipe_sets(config: BuildConfig, tuned: Candidate, collection: ProbeCollection) -> list[ProbeSet]:
    """Select for the training queries by every recipe as shipped, by random documents and by the tuned recipe."""
    from flows.tune import mine_candidates

    store, rows = Place().open_store(), collection.of_splits(("train",))
    plain = {*shipped_recipes(), "random of the whole corpus", "perc-pos share=0.99"}
    listed = list_candidates(config).tried
    names = {one.name: one for one in listed if one.name in plain}
    names = {"perc-pos": replace(listed[0], name="perc-pos"), **names, TUNED: replace(tuned, name=TUNED)}
    # The configured one first, which must be there; of the others some have no teacher here.
    ledgers = distinct_ledgers([listed[0], *names.values()])
    refs = dict(zip(ledgers, mine_candidates([one.config for one in ledgers.values()]), strict=True))
    mined = {key: found.refs and read_ledger(ledgers[key], found.refs, store, rows) for key, found in refs.items()}
    return [
        select_set(candidate, ledger, collection, store, rows)
        for candidate in names.values()
        if (ledger := mined[ledger_key(candidate)]) is not None
    ]


def peer_sets(config: BuildConfig, snapshot: Snapshot, collection: ProbeCollection) -> list[ProbeSet]:
    """Mine the sets of sentence-transformers for the training queries, on the very vectors, with each of its modes."""
    store = Place().open_store()
    encoder = encoder_of(config, configured_snapshot(config, store), store)
    probe = open_probe("adapter", snapshot, collection, encoder, store)
    rows = collection.of_splits(("train",))
    queries_QD, documents_ND = probe.untrained(rows)
    ids = collection.queries.get_column("query_id")
    known = labelled_positives(snapshot).filter(pl.col("query").is_in(rows.tolist()))
    pairs = pl.DataFrame({"query_id": ids.gather(known["query"]), "doc_id": collection.doc_ids.gather(known["doc"])})
    world = World(
        Path(), ids.gather(rows).to_list(), collection.doc_ids.to_list(), queries_QD, documents_ND, pairs, pairs.clear()
    )
    return [
        number_set(collection, f"{PEER}{mode}", mined_negatives(world, changes, 4)) for mode, changes in MODES.items()
    ]


def against_peer(measured: tuple[Measured, ...]) -> dict[str, object]:
    """Compare the tuned set with that set of sentence-transformers that is the best on the very test queries."""
    by_name = {one.name: one.per_query(MEASURE) for one in measured}
    peers = {name: values for name, values in by_name.items() if name.startswith(PEER)}
    best = max(peers, key=lambda name: float(peers[name].mean()))
    found = compare_with(np.stack([by_name[TUNED], peers[best]]), 0, SEED)[1]
    return {"peer": best, **({} if found is None else {**asdict(found), "real": found.real})}


def train_in_batch(
    config: BuildConfig,
    snapshot: Snapshot,
    sets: list[ProbeSet],
    result: Mapping[str, object],
    seeds: int,
    folder: Path,
) -> dict[str, object]:
    """Train the static encoder on some sets as `negset train` does: in-batch negatives and the set's own."""
    from negset.encoders.encoder import prepare_encoder
    from negset.encoders.lsa import load_lsa
    from negset.mining.positives import known_pairs
    from negset.training.examples import SetTables, build_examples
    from negset.training.loop import train_encoder
    from negset.training.model import StaticStart, open_model
    from negset.training.run import measure
    from schemas.encoder import EncoderConfig

    store = Place().open_store()
    ref = prepare_encoder(EncoderConfig(backend="lsa"), snapshot, store)
    lsa = load_lsa(store.open(ref.kind, ref.fingerprint))
    peer = result["adapter"]["tuned_against_peer"]["peer"] if "adapter" in result else f"{PEER}top"  # type: ignore[index]
    wanted = (TUNED, "naive", "perc-pos", "random of the whole corpus", str(peer))
    queries = snapshot.queries().select("query_id", "text", "split")
    held_out = queries.filter(pl.col("split") == "test")
    found: dict[str, object] = {}
    for chosen in (one for one in sets if one.name in wanted):
        tables = SetTables(queries, snapshot.documents(), _pairs(snapshot, chosen), _negatives(snapshot, chosen))
        values = []
        for seed in range(1, seeds + 1):
            training = TrainConfig(seed=seed)
            examples = build_examples(tables, known_pairs(snapshot), held_out["text"], split="train")
            model = open_model(training, StaticStart(lsa.tokens, lsa.embeddings))
            train_encoder(model, examples, training, folder / chosen.name.replace(" ", "-") / str(seed))
            after = measure(model, snapshot, "test").metrics
            values.append(after.per_query.sort("query_id")["ndcg_at_10"].to_numpy())
            print("in-batch", chosen.name, seed, round(after.ndcg_at_10, 4), flush=True)
        found[chosen.name] = np.stack(values)
    names = list(found)
    means = np.stack([np.asarray(found[name]).mean(axis=0) for name in names])
    best = int(np.argmax(means.mean(axis=1)))
    below = compare_with(means, best, SEED)
    return {
        name: {
            "ndcg_at_10": float(means[place].mean()),
            "spread": float(np.asarray(found[name]).mean(axis=1).std(ddof=1)) if seeds > 1 else 0.0,
            "below_best": None if below[place] is None else {**asdict(below[place]), "real": below[place].real},  # type: ignore[arg-type, union-attr]
        }
        for place, name in enumerate(names)
    }


def _coded(snapshot: Snapshot, groups: object) -> pl.DataFrame:
    sizes = groups.sizes()  # type: ignore[attr-defined]
    ids = snapshot.queries().get_column("query_id")
    docs = snapshot.document_columns("doc_id").get_column("doc_id")
    return pl.DataFrame(
        {
            "query_id": ids.gather(np.repeat(np.arange(len(sizes)), sizes)),
            "doc_id": docs.gather(groups.rows),  # type: ignore[attr-defined]
        }
    )


def _pairs(snapshot: Snapshot, chosen: ProbeSet) -> pl.DataFrame:
    return _coded(snapshot, chosen.positives)


def _negatives(snapshot: Snapshot, chosen: ProbeSet) -> pl.DataFrame:
    return _coded(snapshot, chosen.negatives).with_columns(rank=pl.int_range(1, pl.len() + 1).over("query_id"))


def table(name: str, kind: str, report: object) -> str:
    """Write the rows for people."""
    rows: list[dict[str, object]] = report["rows"]  # type: ignore[index]
    lines = [f"{name}, {kind}: {report['queries']} held-out queries"]  # type: ignore[index]
    for row in rows:
        below, above = (_gap(row[side]) for side in ("below_best", "above_random"))
        measures: dict[str, float] = row["measures"]  # type: ignore[assignment]
        lines.append(
            f"{row['name']:<50}{row['trained']:>7}{measures['ndcg_at_10']:>9.4f}  ±{row['spread'] or 0:.4f}"
            f"{measures['mrr_at_10']:>9.4f}{measures['recall_at_100']:>9.4f}{below:>10}{above:>10}"
        )
    return "\n".join([*lines, json.dumps(report["tuned_against_peer"])])  # type: ignore[index]


def _gap(found: object) -> str:
    if not isinstance(found, dict):
        return ""
    return f"{found['difference']['mean']:+.4f}{'*' if found['real'] else ' '}"


if __name__ == "__main__":
    main()
