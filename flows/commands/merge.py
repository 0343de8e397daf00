"""`negset merge BASE MODEL [MODEL ...] --out FOLDER`: merge models that were trained from one start."""

import argparse
from pathlib import Path

from negset.encoders.model_folder import find_model
from negset.errors import ConfigError
from negset.publishing.reading import read_set
from tasks.sets import local_set

SEED = 13
QUERIES, STEPS = 256, 200


def run(options: argparse.Namespace) -> int:
    """Merge the models that `options` name, by given or learned shares, and say what went into them."""
    _check(options)
    # torch takes seconds to import: --help does without.
    from negset.training.merging import check_folders, merge_folders, mixture_of

    base = find_model(options.base, "", "BASE")
    models = [find_model(name, "", "MODEL") for name in options.models]
    if options.weights is not None:
        mixture = mixture_of(_numbers(options.weights), 1.0 if options.scale is None else options.scale)
    else:
        check_folders(base, models)
        from negset.training.mixing import learn_from_sets

        learned = learn_from_sets(
            base,
            models,
            [read_set(local_set(name)) for name in options.learn],
            queries=QUERIES if options.queries is None else options.queries,
            steps=STEPS if options.steps is None else options.steps,
            seed=SEED,
        )
        mixture = learned.mixture
        print(
            f"loss of {learned.queries:,} training queries: {learned.loss_before:.4f} with equal shares, "
            f"{learned.loss_after:.4f} with learned ones"
        )
    merge_folders(base, models, mixture, Path(options.out))
    for name, share in zip(options.models, mixture.shares, strict=True):
        print(f"{share:.3f}  {name}")
    print(f"scale {mixture.scale:.3f}\nmerged model: {options.out}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise ConfigError for an option that would do nothing or make no sense."""
    if Path(options.out).exists():
        message = f"--out {options.out} exists: name a new folder"
        raise ConfigError(message)
    idle = ("scale",) if options.learn else ("queries", "steps")
    for name in idle:
        if getattr(options, name) is not None:
            message = f"--{name} does nothing with {'--learn' if options.learn else '--weights'}: leave it out"
            raise ConfigError(message)
    for name in ("queries", "steps"):
        given = getattr(options, name)
        if given is not None and given < 1:
            message = f"--{name} is {given}: at least 1 is needed"
            raise ConfigError(message)


def _numbers(text: str) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError as error:
        message = f"--weights {text!r} is no list of numbers such as 0.5,0.5"
        raise ConfigError(message) from error
