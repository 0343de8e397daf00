"""How likely a pair is relevant, by a small scorer fitted on the labels of the corpus itself: no download, no GPU.

A stand-in for a cross-encoder where there is none. Features are each miner's score in units of the query's
candidates, and what query and document have in common as words. Positives are the labels, negatives are drawn from
the candidates, the unlabelled positives among them, and from the corpus; the two classes weigh the same. A query is
scored by a model that was fitted on other queries. `prior` then says how many candidates are taken to be relevant:
what looks as much like a label as like a draw gets that probability.
"""

from typing import TYPE_CHECKING, Final

from negset.arrays import Floats
from negset.teaching.cross_fitting import deal_folds, fit_folds
from negset.teaching.pair_features import open_features, scoring_miners
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from negset.teaching.training_pairs import drawn_candidates, random_documents, training_pairs
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
    return [config.relevance, inputs.seed, bm25.stemmer, bm25.stopwords, scoring_miners(inputs)]


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.relevance.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Fit a model for each fold.

    Raises ConfigError where fewer than two queries of different text are labelled, or the corpus is all positives.
    """
    options, seed = inputs.config.relevance, inputs.mining.seed
    fold_Q = deal_folds(inputs.mining.snapshot, inputs.labelled.query, options.folds, seed)
    features = open_features(inputs, scoring_miners(inputs.mining))
    examples = training_pairs(
        inputs,
        random_documents(inputs, options.random, seed),
        drawn_candidates(inputs, options.candidates, seed),
    )
    fitted = fit_folds(features.of(examples.pairs), examples.relevant, examples.pairs.query, fold_Q)

    def score(pairs: Pairs) -> Floats:
        return fitted.probability(features.of(pairs), pairs.query, options.prior)

    return OpenTeacher(score, block=1 << 14)
