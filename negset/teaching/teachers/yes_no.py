"""How much more "it matches" than "it does not" fits a pair: two heads that are compared, so that no threshold is set.

CLIPN (arXiv 2308.12213) trains a "no" beside each "yes"; here both are linear heads over the features of a pair, and
the score is the yes of their softmax. The losses are the paper's: -log p_yes, averaged over each query with its own
labelled documents, plus -log p_no, averaged over queries with documents labelled for other queries and with drawn
candidates. Two linear heads under one softmax are determined up to what they share: with a ridge on both they are
opposite, and their difference is a logistic regression in which both losses weigh the same. The paper's third loss,
which keeps the two prompts' embeddings apart, has nothing to act on here. A query is scored by heads that were fitted
on other queries, since whoever was fitted on its negatives knows them.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import expit

from negset.arrays import Floats
from negset.teaching.cross_fitting import deal_folds, fit_folds
from negset.teaching.pair_features import open_features, scoring_miners
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from negset.teaching.training_pairs import drawn_candidates, others_positives, training_pairs
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""The labels and the candidates count too."""


def check(_config: TeachConfig, _mine: MineConfig) -> None:
    """Find nothing to refuse."""


def identity(inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the options, the seed, and what cuts texts into terms."""
    bm25 = inputs.config.bm25
    return [config.yes_no, inputs.seed, bm25.stemmer, bm25.stopwords, scoring_miners(inputs)]


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.yes_no.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Fit two heads for each fold.

    Raises ConfigError where fewer than two queries of different text are labelled, or nothing is left to say no to.
    """
    options, seed = inputs.config.yes_no, inputs.mining.seed
    fold_Q = deal_folds(inputs.mining.snapshot, inputs.labelled.query, options.folds, seed)
    features = open_features(inputs, scoring_miners(inputs.mining))
    examples = training_pairs(
        inputs, others_positives(inputs, options.others, seed), drawn_candidates(inputs, options.candidates, seed)
    )
    fitted = fit_folds(features.of(examples.pairs), examples.relevant, examples.pairs.query, fold_Q)

    def score(pairs: Pairs) -> Floats:
        odds_P = fitted.log_odds(features.of(pairs), pairs.query)
        return chance_of_yes(odds_P / 2, -odds_P / 2)

    return OpenTeacher(score, block=1 << 14)


def chance_of_yes(yes_P: Floats, no_P: Floats) -> Floats:
    """Give the yes of the softmax over what the two heads say."""
    chance_P: Floats = expit(np.asarray(yes_P) - np.asarray(no_P))
    return chance_P
