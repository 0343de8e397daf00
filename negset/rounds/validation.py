"""Which queries decide whether a round made things worse: never trained on, and never those of the test split."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from negset.errors import ConfigError
from negset.probing.collection import ProbeCollection
from negset.probing.folds import cross_folds
from negset.training.examples import Rows
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig


@dataclass(frozen=True)
class Roles:
    """Rows of queries, ascending, all with a labelled positive.

    `trained` may be trained on, `validation` decides, `held_out` is only reported. No text of a trained query is one
    of another role.
    """

    trained: Rows
    validation: Rows
    held_out: Rows

    def untrained_texts(self, collection: ProbeCollection) -> pl.Series:
        """Give the texts that no round may train on."""
        return collection.queries.get_column("text").gather(np.union1d(self.validation, self.held_out))


def deal_roles(collection: ProbeCollection, train: TrainConfig, rounds: RoundsConfig) -> Roles:
    """Deal the labelled queries: a share of the training split, or the validation split, is kept for deciding.

    Which queries of the training split depends on the seed of `train` and their texts; those linked by a text or a
    positive stay together, unless they are more than that share. Raises ConfigError where the validation split is one
    that is trained on or reported, or a role that is needed has no query.
    """
    split = rounds.validation_split
    if split in (train.split, train.held_out):
        message = (
            f"rounds.validation_split is {split!r}, which is train.split or train.held_out too: what decides must be "
            "neither trained on nor reported. Give another split, or leave it empty"
        )
        raise ConfigError(message)
    pool, held_out = collection.of_splits((train.split,)), collection.of_splits((train.held_out,))
    if not len(pool):
        message = f"no query of split {train.split!r} has a positive; {_known(collection)}. Set train.split"
        raise ConfigError(message)
    texts = collection.text_keys
    free = pool[~np.isin(texts[pool], texts[held_out])]
    if split:
        validation = collection.of_splits((split,))
        if not len(validation):
            message = f"no query of split {split!r} has a positive; {_known(collection)}. Set rounds.validation_split"
            raise ConfigError(message)
    else:
        count = max(2, round(1 / rounds.validation))
        folds = cross_folds(collection, free, count, limit=len(free), seed=train.seed, positives_apart=True)
        validation = folds[0].held_out
    trained = np.setdiff1d(free, validation)
    return Roles(trained[~np.isin(texts[trained], texts[validation])], validation, held_out)


def _known(collection: ProbeCollection) -> str:
    return f"the splits that have some are {', '.join(collection.splits()) or 'none'}"
