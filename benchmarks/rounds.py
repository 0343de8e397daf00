"""What three rounds of ANCE, ADORE and AR2 are worth on real collections, with the static encoder.

    python -m benchmarks.rounds --data FOLDER [--collections scifact,esco_occ] [--strategies ance,adore,ar2]
                                [--rounds 3] [--begins last,first] [--seeds 13] [--out FILE] [--quick]

Each collection is mined by dense (LSA) and BM25; the recipe perc-pos gives five negatives a query. English queries
alone, at most 4,000 of them for training, those whose texts have the smallest hashes. A loop that stops because a round
made things worse is measured up to there. The held-out split is only looked at: validation queries decide. Last, one
training on the first set as long as all rounds together says what the rounds are worth beyond more epochs.
`--quick` makes a small collection of its own. The last line is one JSON object.
"""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.downstream import write_generated
from flows.session import prefect_session
from negset.lots import id_keys
from negset.probing.bootstrap import compare_with
from negset.rounds.report import RoundsReport, read_rounds, read_values, rounds_table
from negset.text import normalise_text
from schemas.config import BuildConfig
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

LIMIT: Final = 4000
EPOCHS: Final = 5
"""Those of the static encoder where the config leaves it open."""


def main() -> None:
    """Run the rounds of every collection, strategy and seed; print tables and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--collections", default="scifact,esco_occ")
    parser.add_argument("--strategies", default="ance,adore,ar2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--begins", default="last", help="what rounds train: last, first, or both, e.g. last,first")
    parser.add_argument("--seeds", default="13")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="a generated collection, two minutes")
    options = parser.parse_args()
    if not options.quick and not options.data:
        parser.error("--data or --quick")
    found: dict[str, object] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).absolute()
        os.environ["NEGSET_HOME"] = str(home)
        with prefect_session():
            for name in ["generated"] if options.quick else options.collections.split(","):
                place = home / "collections" / name
                write_generated(place) if options.quick else sample_collection(options.data / name, place)
                for seed in (int(text) for text in options.seeds.split(",")):
                    for case in cases(name, place, options, seed):
                        key = f"{name} {case[0]} seed {seed}"
                        if key not in found:
                            found[key] = measure(*case[1:])
                            if options.out:
                                options.out.write_text(json.dumps(found, indent=1))
    print(json.dumps({"rounds": options.rounds, "measured": found}))


def cases(
    name: str, place: Path, options: argparse.Namespace, seed: int
) -> list[tuple[str, BuildConfig, TrainConfig, RoundsConfig]]:
    """Give each strategy and begin, and one round that is as long as all of them together."""
    config = BuildConfig.model_validate(
        {
            "name": name,
            "source": {"format": "parquet", "path": str(place)},
            "mine": {"miners": ["dense", "bm25"], "splits": ["train"]},
            "recipe": {"name": "perc-pos", "negatives": 5},
        }
    )
    train = TrainConfig(seed=seed, device="cpu")
    listed = [
        (
            f"{strategy} from the {begin}",
            config,
            train,
            RoundsConfig.model_validate({"strategy": strategy, "rounds": options.rounds, "begin": begin}),
        )
        for begin in options.begins.split(",")
        for strategy in options.strategies.split(",")
    ]
    longer = train.model_copy(update={"epochs": options.rounds * EPOCHS})
    return [*listed, ("one long round", config, longer, RoundsConfig(rounds=1))]


def measure(config: BuildConfig, train: TrainConfig, options: RoundsConfig) -> dict[str, object]:
    """Run the rounds; give their figures, and how the last round compares with the first on the held-out split."""
    from flows.rounds import rounds

    folder = Path(rounds(config, train, options))
    report = read_rounds(folder)
    print(f"{config.name} {options.strategy}, seed {train.seed}\n{rounds_table(report)}", flush=True)
    return {**_numbers(report), "last_above_first": _last_above_first(train, folder)}


def _numbers(report: RoundsReport) -> dict[str, object]:
    plain: dict[str, object] = report.model_dump(mode="json")
    return plain


def _last_above_first(train: TrainConfig, folder: Path) -> dict[str, object] | None:
    """Give by how much the last round is above the first in nDCG@10, on validation and on held-out queries."""
    values = read_values(folder)
    if len(values) < 3:
        return None
    told: dict[str, object] = {}
    for role in ("validation", "held_out"):
        first, last = (values[number][role] for number in (1, -1))
        (gap,) = [one for one in compare_with(np.stack([last, first]), 0, train.seed) if one]
        told[role] = {**asdict(gap.difference), "chance": gap.chance}
    return told


def sample_collection(source: Path, place: Path) -> None:
    """Write the collection at `source` to `place`: English queries of train, dev and test, not too many of train."""
    queries = pl.read_parquet(source / "queries.parquet")
    if "language" in queries.columns:
        queries = queries.filter(pl.col("language") == "en")
    lots = pl.Series("lot", id_keys([f"rounds:{normalise_text(text)}" for text in queries["text"]]))
    order = pl.int_range(pl.len()).over("split")
    chosen = (
        queries.with_columns(lots)
        .filter(pl.col("split").is_in(["train", "test"]))
        .sort("lot", "query_id")
        .filter((order < LIMIT) | (pl.col("split") == "test"))
        .select("query_id", "text", "split")
        .sort("query_id")
    )
    qrels = pl.read_parquet(source / "qrels.parquet").select("query_id", "doc_id", "relevance")
    place.mkdir(parents=True, exist_ok=True)
    pl.read_parquet(source / "corpus.parquet").select("doc_id", "title", "text").write_parquet(place / "corpus.parquet")
    chosen.write_parquet(place / "queries.parquet")
    qrels.join(chosen, on="query_id", how="semi").write_parquet(place / "qrels.parquet")


if __name__ == "__main__":
    main()
