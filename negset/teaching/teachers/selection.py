"""How likely annotators saw a pair, learned together with relevance from the labels (CET, arXiv 2209.05072).

Labels come from pools, and pools from lexical search: an unlabelled document that such a search ranks high was seen
and refused, one that it misses was never judged. The score is a log-odds that is 0 for a pair of average features;
the weigher `inverse_selection` makes weights of it. Selection is given lexical features alone, relevance all there
are, since the two cannot be told apart by the same ones. A query is scored by a model fitted on other queries.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.teaching.coupled import Triples, fit_coupled
from negset.teaching.cross_fitting import Flags, deal_folds
from negset.teaching.pair_features import WORDS, open_features, scoring_miners
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from negset.teaching.training_pairs import TrainingPairs, drawn_candidates, training_pairs
from schemas.config import MineConfig
from schemas.teach import SelectionConfig, TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""The labels and the candidates count too."""
LEXICAL: Final = "bm25"


@dataclass(frozen=True)
class Selector:
    """A linear scorer over lexical features in units of their deviation."""

    mean_G: Floats
    deviation_G: Floats
    weight_G: Floats

    def log_odds(self, features_PG: Floats) -> Floats:
        """Give the score of each row."""
        score_P: Floats = ((features_PG - self.mean_G) / self.deviation_G) @ self.weight_G
        return score_P


def check(_config: TeachConfig, mine: MineConfig) -> None:
    """Raise ConfigError where there is no lexical miner, or nothing else to tell relevance by."""
    scoring = [name for name in mine.miners if name != "random"]
    if LEXICAL not in scoring or len(scoring) < 2:
        message = (
            f"the teacher 'selection' needs the miner {LEXICAL!r}, which pools of annotators are like, and another "
            f"one that gives scores, to tell relevance from selection; mine.miners are {', '.join(mine.miners)}"
        )
        raise ConfigError(message)


def identity(inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the options, the seed, and what cuts texts into terms."""
    bm25 = inputs.config.bm25
    return [config.selection, inputs.seed, bm25.stemmer, bm25.stopwords, scoring_miners(inputs)]


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.selection.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Fit relevance and selection together for each fold.

    Raises ConfigError where `check` does or fewer than two queries of different text are labelled, ContractError
    where no labelled query has another candidate.
    """
    check(inputs.config, inputs.mining.config)
    options, seed = inputs.config.selection, inputs.mining.seed
    fold_Q = deal_folds(inputs.mining.snapshot, inputs.labelled.query, options.folds, seed)
    features = open_features(inputs, scoring_miners(inputs.mining))
    lexical = np.array([name in (f"z_{LEXICAL}", *WORDS) for name in features.names])
    examples = training_pairs(inputs, drawn_candidates(inputs, options.candidates, seed))
    given_PF, fold_P = features.of(examples.pairs), fold_Q[examples.pairs.query]
    selectors = [
        _fit(given_PF, lexical, examples, np.flatnonzero(fold_P != fold), options)
        for fold in range(int(fold_Q.max()) + 1)
    ]

    def score(pairs: Pairs) -> Floats:
        features_PG, own_P = features.of(pairs)[:, lexical], fold_Q[pairs.query]
        found_P = np.empty(len(pairs))
        for fold, selector in enumerate(selectors):
            found_P[own_P == fold] = selector.log_odds(features_PG[own_P == fold])
        return found_P

    return OpenTeacher(score, block=1 << 14)


def _fit(given_PF: Floats, lexical: Flags, examples: TrainingPairs, rows: Rows, options: SelectionConfig) -> Selector:
    part_PF = given_PF[rows]
    mean_F, deviation_F = part_PF.mean(axis=0), part_PF.std(axis=0)
    deviation_F = np.where(deviation_F > 0, deviation_F, 1.0)
    standard_PF = (part_PF - mean_F) / deviation_F
    triples = triples_of(examples.pairs.query[rows], examples.relevant[rows])
    coupled = fit_coupled(
        standard_PF, standard_PF[:, lexical], triples, smoothing=options.smoothing, passes=options.passes
    )
    return Selector(mean_F[lexical], deviation_F[lexical], coupled.selection_G)


def triples_of(query_P: Rows, relevant_P: Flags) -> Triples:
    """Put each labelled row of a query beside each of its others, in the order of rows."""
    rows = pl.DataFrame({"query": query_P, "row": np.arange(len(query_P)), "relevant": relevant_P})
    positive, negative = rows.filter("relevant"), rows.filter(~pl.col("relevant"))
    both = positive.join(negative, on="query", suffix="_other").sort("row", "row_other")
    return Triples(both["row"].to_numpy(), both["row_other"].to_numpy())
