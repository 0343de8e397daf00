"""What each loss and each batch plan is worth: the static encoder, trained as `negset train` does, on real collections.

    python -m benchmarks.losses --data FOLDER --model FOLDER --home FOLDER [--collections scifact,cosqa,...]
                                [--seeds 5] [--only NAME,NAME] [--out FILE] [--quick]

For each collection sets are built: `perc-pos` and others over dense candidates by the vectors of `--model`, and random
documents. The static encoder is then trained on them with every loss (options as they come, the vectors and cosines of
`--model` where a loss asks for a guide or a teacher) and every plan, several seeds each, and measured on the split
`test`. All is compared with plain InfoNCE over random documents and in-batch negatives: paired bootstrap over queries
of the means over seeds, Holm's correction for all rows of the table. Collections are sampled as in
`benchmarks.downstream`, at most 4,000 training queries. What `--out` holds is not measured again. The last line is one
JSON object.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch

from benchmarks.downstream import build_config, sample_collection, write_generated
from flows.session import prefect_session
from negset.batching.following import planned_run
from negset.batching.planner import plans as find_plans
from negset.batching.reading import open_plan
from negset.building import role_texts
from negset.encoders.encoder import prepare_encoder
from negset.encoders.lsa import load_lsa
from negset.errors import ConfigError
from negset.fingerprint import fingerprint
from negset.mining.positives import known_pairs
from negset.probing.bootstrap import measure_gains
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import Snapshot, open_snapshot
from negset.store import Store
from negset.training.batches import PlannedRun
from negset.training.examples import Examples, SetTables, build_examples
from negset.training.loop import clear_run, train_encoder
from negset.training.model import StaticStart, open_model
from negset.training.objective import losses
from negset.training.run import measure
from negset.training.signals import Guide, Signals, teacher_scores
from negset.vectors import find_vectors, open_vectors, vectors_fingerprint
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef
from schemas.train import SHUFFLED, TrainConfig
from tasks.place import Place

LIMITS: Final = {"train": 4000, "test": 3000}
SEED: Final = 13
BASE: Final = "info_nce, random documents"
LABELS: Final = 5000
"""Documents of a run up to which the softmax over all of them is measured."""


@dataclass(frozen=True)
class Variant:
    """One row of the table: which set, and what differs from the usual training."""

    name: str
    recipe: str = "perc-pos"
    changes: Mapping[str, object] = field(default_factory=dict)


def variants() -> list[Variant]:
    """List the rows: the baseline first, then every loss, then every plan."""
    rows = [
        Variant(BASE, "random"),
        Variant("info_nce"),
        Variant("info_nce, the set's negatives alone", changes={"in_batch": False}),
        Variant("info_nce, random documents alone", "random", {"in_batch": False}),
        *(
            Variant(f"info_nce, set {recipe} alone", recipe, {"in_batch": False})
            for recipe in ("naive", "shifted", "adapted")
        ),
        Variant("info_nce, symmetric", changes={"loss_options": {"symmetric": True}}),
    ]
    for name, found in losses().items():
        if name == "info_nce":
            continue
        changes: dict[str, object] = {"loss": name}
        if "guide" in found.needs:
            changes["guide"] = "the mining encoder"
        if "teacher" in found.needs:
            changes["teacher"] = "dense"
        if "all_documents" in found.needs:
            changes["candidates"] = "all"
        rows.append(Variant(name, changes=changes))
    plans = [name for name in find_plans() if name not in (SHUFFLED, "power-law-replay")]
    rows += [Variant(f"info_nce, plan {name}", changes={"plan": name}) for name in plans]
    rows.append(Variant("info_nce, mined anew each epoch", changes={"remine": "epoch"}))
    rows.append(Variant("info_nce, mined anew each epoch, those alone", changes={"remine": "epoch", "in_batch": False}))
    rows.append(
        Variant(
            "cwcl, floor median",
            changes={"loss": "cwcl", "guide": "the mining encoder", "loss_options": {"floor": "median"}},
        )
    )
    return rows


def main() -> None:
    """Measure every collection, print tables and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--collections", default="scifact,cosqa,esco_occ,tldr")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of rows, the baseline always among them")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="a generated collection, two seeds, a few rows")
    options = parser.parse_args()
    if not options.quick and not (options.data and options.model):
        parser.error("--data and --model, or --quick")
    found = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).absolute()
        os.environ["NEGSET_HOME"] = str(home)
        with prefect_session():
            for name in ["generated"] if options.quick else options.collections.split(","):
                for result in measure_collection(name, options, home, found.get(name, {})):
                    found[name] = result
                    if options.out:
                        options.out.write_text(json.dumps(found, indent=1))
                print(table(name, found[name]), flush=True)
    print(json.dumps({name: summary(result) for name, result in found.items()}))


def measure_collection(
    name: str, options: argparse.Namespace, home: Path, known: dict[str, list[list[float]]]
) -> Iterator[dict[str, list[list[float]]]]:
    """Train and measure every row; give nDCG@10 of each held-out query, a list for each seed, after each row."""
    place = home / "collections" / name
    if options.quick:
        write_generated(place)
    else:
        sample_collection(options.data / name, place, name, LIMITS)
    wanted = (
        options.only.split(",")
        if options.only
        else ["info_nce", "gist", "info_nce, plan ngame", "info_nce, mined anew each epoch"]
        if options.quick
        else []
    )
    rows = [one for one in variants() if not wanted or one.name in (*wanted, BASE)]
    result, world = dict(known), open_world(name, place, options, rows)
    for variant in rows:
        seeds = 2 if options.quick else options.seeds
        if len(result.get(variant.name, [])) >= seeds:
            continue
        values: list[list[float]] = []
        for seed in range(1, seeds + 1):
            begun = time.process_time()
            try:
                values.append(world.train(variant, seed, home / "runs" / f"losses-{name}"))
            except ConfigError as error:
                print(f"{name}: {variant.name} is left out: {error}", flush=True)
                break
            seconds = time.process_time() - begun
            print(f"{name}: {variant.name} {seed} {np.mean(values[-1]):.4f} in {seconds:.0f} s", flush=True)
        if values:
            result[variant.name] = values
            yield result


@dataclass(frozen=True)
class World:
    """A collection that is ready to train on: its sets by recipe, and what a static encoder starts from."""

    snapshot: Snapshot
    sets: Mapping[str, PublishedSet]
    start: StaticStart
    encoder: str
    store: Store

    def train(self, variant: Variant, seed: int, folder: Path) -> list[float]:
        """Train by `variant` and give nDCG@10 of each test query, in the order of their ids.

        Raises ConfigError where the collection is not made for it.
        """
        changes = dict(variant.changes)
        config = TrainConfig.model_validate({**changes, "seed": seed})
        tables = self.tables(variant.recipe)
        queries = self.snapshot.queries()
        held_out = queries.filter(pl.col("split") == "test")["text"]
        examples = build_examples(tables, known_pairs(self.snapshot), held_out, split="train", in_batch=config.in_batch)
        if config.candidates == "all" and len(examples.document_ids) > LABELS:
            message = f"{len(examples.document_ids)} documents are no small label space"
            raise ConfigError(message)
        run = folder / fingerprint(variant.name, variant.recipe, config)[:16]
        model = open_model(config, self.start)
        signals, by = self.signals(tables, examples, config), self.planned(variant, examples, config)
        train_encoder(model, examples, config, run, signals=signals, by=by)
        clear_run(run)
        per_query = measure(model, self.snapshot, "test").metrics.per_query.sort("query_id")
        return [float(value) for value in per_query["ndcg_at_10"]]

    def tables(self, recipe: str) -> SetTables:
        """Give the tables of a set."""
        opened = self.sets[recipe]
        names = ("queries", "documents", "positives", "negatives", "candidates")
        return SetTables(**{name: opened.table(name) for name in names})

    def planned(self, variant: Variant, examples: Examples, config: TrainConfig) -> PlannedRun | None:
        """Give the batches of the plan that `config` names."""
        if config.plan == SHUFFLED:
            return None
        from flows.batches import batches
        from tasks.views import plan_request

        ref = batches(str(self.sets[variant.recipe].folder), plan_request(config))
        return planned_run(open_plan(self.store.open(ref.kind, ref.fingerprint)), examples, in_batch=config.in_batch)

    def signals(self, tables: SetTables, examples: Examples, config: TrainConfig) -> Signals:
        """Give the vectors of the mining encoder as a guide, its cosines as a teacher, where a loss asks for them."""
        guide = None
        if config.guide:
            vectors = {role: self.vectors(role, examples) for role in ("query", "document")}
            guide = Guide(vectors["query"], vectors["document"], self.encoder)
        teacher = teacher_scores(tables, examples, config.teacher) if config.teacher else None
        return Signals(guide, teacher)

    def vectors(self, role: str, examples: Examples) -> torch.Tensor:
        """Give the mining encoder's vectors of the texts of a run."""
        named = EncoderRef(fingerprint=self.encoder, content=self.encoder, rows=0)
        ref = find_vectors(self.store, vectors_fingerprint(named, self.snapshot.content, role))  # type: ignore[arg-type]
        ids, texts = role_texts(self.snapshot, role)  # type: ignore[arg-type]
        by_id = dict(zip(ids, texts, strict=True))
        wanted = examples.query_ids if role == "query" else examples.document_ids
        return torch.from_numpy(open_vectors(self.store, ref).gather([by_id[name] for name in wanted]))  # type: ignore[arg-type]


def open_world(name: str, place: Path, options: argparse.Namespace, wanted: Sequence[Variant]) -> World:
    """Build the sets that the `wanted` rows need, or find them built."""
    from flows.build import build

    plain = build_config(name, place, options)
    sets, encoder = {}, ""
    for recipe in dict.fromkeys(variant.recipe for variant in wanted):
        miners = ["random" if recipe == "random" else "dense"]
        changed = plain.model_dump()
        changed["name"] = f"{name}-{recipe}".replace("_", "-")
        changed["mine"] = {**changed["mine"], "miners": miners}
        changed["recipe"] = {"name": recipe, "negatives": 4}
        opened = read_set(Path(build(BuildConfig.model_validate(changed)).path))
        sets[recipe] = opened
        encoder = encoder or (opened.manifest.encoder.fingerprint if opened.manifest.encoder else "")
    store = Place().open_store()
    content = next(iter(sets.values())).manifest.source.content
    from negset.building import require_current

    snapshot = open_snapshot(store, require_current(store, content))
    ref = prepare_encoder(EncoderConfig(backend="lsa"), snapshot, store)
    lsa = load_lsa(store.open(ref.kind, ref.fingerprint))
    return World(snapshot, sets, StaticStart(lsa.tokens, lsa.embeddings), encoder, store)


def summary(result: Mapping[str, list[list[float]]]) -> list[dict[str, object]]:
    """Give each row's mean, its spread over seeds and its difference from the baseline."""
    names = sorted(result, key=lambda row: row != BASE)
    means = np.stack([np.mean(result[row], axis=0) for row in names])
    gains = measure_gains([means[place] - means[0] for place in range(1, len(names))], SEED) if names[1:] else []
    rows = []
    for place, row in enumerate(names):
        found = gains[place - 1] if place else None
        runs = np.mean(result[row], axis=1)
        rows.append(
            {
                "name": row,
                "ndcg_at_10": float(means[place].mean()),
                "spread": float(runs.std(ddof=1)) if len(runs) > 1 else 0.0,
                "seeds": len(runs),
                "over_base": None if found is None else float(found.difference.mean),
                "low": None if found is None else float(found.difference.low),
                "high": None if found is None else float(found.difference.high),
                "real": None if found is None else found.real,
            }
        )
    return sorted(rows, key=lambda one: -float(str(one["ndcg_at_10"])))


def table(name: str, result: Mapping[str, list[list[float]]]) -> str:
    """Write the rows for people."""
    lines = [name]
    for row in summary(result):
        gap = "" if row["over_base"] is None else f"{row['over_base']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
        star = "*" if row["real"] else " "
        lines.append(f"  {row['name']:<44}{row['ndcg_at_10']:.4f}  ±{row['spread']:.4f}  {gap}{star}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
