"""`negset demo`: the main job on the docstrings of the installed Python packages."""

import argparse
import os
from pathlib import Path

from flows.commands.reports import describe_set, describe_training
from flows.session import prefect_session
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig
from schemas.encoder import EncoderConfig
from schemas.train import TrainConfig

DEMO = BuildConfig(
    name="docstrings",
    source=SourceConfig(format="docstrings", held_out=0.1),
    encoder=EncoderConfig(backend="lsa"),
    mine=MineConfig(miners=("dense", "bm25"), splits=("train",)),
    recipe=RecipeConfig(name="perc-pos", negatives=5),
)


def run(options: argparse.Namespace) -> int:
    """Build a set below `options.home`, train on it, and say where both lie and what came of them."""
    os.environ["NEGSET_HOME"] = options.home
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.build import build
        from flows.train import train

        published = build(DEMO)
        trained = train(published.path, TrainConfig())
    print(describe_set(Path(published.path)))
    print(describe_training(Path(trained.path)))
    print(f"look inside negset show {Path(published.path).parents[1]}")
    return 0
