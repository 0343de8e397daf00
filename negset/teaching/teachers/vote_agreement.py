"""How far people agree on a pair: the share of their votes that say yes, or the share that say no, if that is larger.

Votes that are neither agree on nothing, and fewer votes than `teach.votes.min_votes` give 0: such a pair is ambiguous,
and no training example should hang on it (DICES, arXiv 2306.11247; clear there is a share of .8 of five votes or more).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from negset.arrays import Floats
from negset.fingerprint import file_digest
from negset.mining.positives import doc_ids
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs, pack
from negset.teaching.votes import read_votes, require_file
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""The file is what is kept."""


def check(config: TeachConfig, _mine: MineConfig) -> None:
    """Raise ConfigError where there is no file of votes."""
    require_file(config.votes.path)


def identity(_inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the digest of the file and how many votes are enough."""
    return [file_digest(Path(config.votes.path)), config.votes.min_votes]


def depth(_config: TeachConfig) -> int:
    """Look at all candidates."""
    return 0


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Read the votes. Raises InputError naming the lines that cannot be used."""
    snapshot = inputs.mining.snapshot
    documents = doc_ids(snapshot)
    votes = read_votes(Path(inputs.config.votes.path), snapshot.queries()["query_id"], documents)
    agreement = votes.agreement(inputs.config.votes.min_votes)

    def score(pairs: Pairs) -> Floats:
        return votes.of(agreement, pack(pairs, len(documents)))

    return OpenTeacher(score)
