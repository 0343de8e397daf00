"""What people said of a pair: the share of their votes that call it relevant, an unsure one counting half.

Pairs that nobody voted on have no score. Whether people agreed is another question, which the teacher
`vote_agreement` answers from the same file.
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
    """Give the digest of the file."""
    return file_digest(Path(config.votes.path))


def depth(_config: TeachConfig) -> int:
    """Look at all candidates."""
    return 0


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Read the votes. Raises InputError naming the lines that cannot be used."""
    snapshot = inputs.mining.snapshot
    documents = doc_ids(snapshot)
    votes = read_votes(Path(inputs.config.votes.path), snapshot.queries()["query_id"], documents)
    share = votes.share()

    def score(pairs: Pairs) -> Floats:
        return votes.of(share, pack(pairs, len(documents)))

    return OpenTeacher(score)
