"""What training on each recipe's set is worth: nDCG@10 before and after, over several seeds.

    python -m benchmarks.recipes [--config FILE ...] [--recipes perc-pos,naive,...] [--seeds 5]

Without --config it uses the demo's collection, the docstrings of the installed packages. Every recipe is built as
`negset build` builds it and trained on as `negset train` trains; only the seed of the training differs. `novel`
are the held-out queries that share no positive with a trained query. The last line is one JSON object.
"""

import argparse
import json
import statistics
from pathlib import Path

from flows.commands.demo import DEMO
from flows.session import prefect_session
from negset.configuration import load_build_config
from schemas.config import BuildConfig
from schemas.train import TrainConfig

_RECIPES = "perc-pos,naive,random,shifted,abs,margin-pos,star"


def main() -> None:
    """Build, train, print a table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="a build file; its recipe and miners are replaced")
    parser.add_argument("--recipes", default=_RECIPES)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    base = load_build_config(Path(options.config)) if options.config else DEMO
    rows = {}
    with prefect_session():
        for recipe in options.recipes.split(","):
            rows[recipe] = _measure(_with_recipe(base, recipe), options.seeds)
            print(json.dumps({recipe: rows[recipe]}), flush=True)
    print(json.dumps({"collection": base.name, "seeds": options.seeds, "recipes": rows}))


def _with_recipe(base: BuildConfig, recipe: str) -> BuildConfig:
    """Give `base` under `recipe`, with the miners that it needs: dense, and random documents where it draws them."""
    miners = {"random": ("random",), "star": ("dense", "random")}.get(recipe, ("dense",))
    return base.model_copy(
        update={
            "mine": base.mine.model_copy(update={"miners": miners}),
            "recipe": base.recipe.model_copy(update={"name": recipe, "negatives": 4, "options": {}}),
            "gates": base.gates.model_copy(update={"min_full_share": 0.0}),
        }
    )


def _measure(config: BuildConfig, seeds: int) -> dict[str, float]:
    # Prefect is imported while its server starts.
    from flows.build import build
    from flows.train import train

    published = build(config)
    runs = [train(published.path, TrainConfig(seed=seed)) for seed in range(1, seeds + 1)]
    metrics = [json.loads((Path(run.path) / "metrics.json").read_text()) for run in runs]
    after = [one["held_out"]["after"]["ndcg_at_10"] for one in metrics]
    row = {
        "before": metrics[0]["held_out"]["before"]["ndcg_at_10"],
        "after": statistics.mean(after),
        "sd": statistics.stdev(after) if seeds > 1 else 0.0,
        "lowest": min(after),
        "queries": metrics[0]["queries_trained"],
    }
    if metrics[0]["novel"]:
        novel = [one["novel"]["after"]["ndcg_at_10"] for one in metrics]
        row |= {
            "novel_before": metrics[0]["novel"]["before"]["ndcg_at_10"],
            "novel_after": statistics.mean(novel),
            "novel_sd": statistics.stdev(novel) if seeds > 1 else 0.0,
        }
    return {name: round(value, 4) for name, value in row.items()}


if __name__ == "__main__":
    main()
