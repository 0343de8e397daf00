"""Score of a cross-encoder, a model that reads query and document at once: the best judge short of people.

What RocketQA (arXiv 2010.08191) denoises by, AR2 (arXiv 2110.03611) takes its reward from, and ensembles of teachers
are made of. Scores are kept by pair of texts and by the files of the model, so that a pair is never scored twice.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from scipy.special import expit

from negset.arrays import Floats
from negset.encoders.model_folder import check_model, find_model, folder_digests
from negset.errors import ConfigError
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs
from schemas.config import MineConfig
from schemas.teach import CrossEncoderConfig, TeachConfig

if TYPE_CHECKING:
    from negset.encoders.pair_model import PairModel
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = True
_MODEL: Final = "teach.cross_encoder.model"


def check(config: TeachConfig, _mine: MineConfig) -> None:
    """Raise ConfigError where no model is named."""
    if not config.cross_encoder.model:
        message = (
            f"{_MODEL} is empty: the recipe asks for a cross-encoder. Set it to the folder of one, or to a name of "
            "the Hugging Face hub such as 'cross-encoder/ms-marco-MiniLM-L6-v2'; the teacher 'relevance' needs none"
        )
        raise ConfigError(message)


def identity(_inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give every file of the model by digest, and what else moves a score; not where the model lies."""
    options = config.cross_encoder
    files = folder_digests(find_model(options.model, options.revision, _MODEL))
    return [files, options.max_length, options.dtype, options.activation]


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.cross_encoder.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Load the model.

    Raises ConfigError where it is not found, InputError where it is no cross-encoder with one output.
    """
    options = inputs.config.cross_encoder
    model = _load(options)

    def score(pairs: Pairs) -> Floats:
        odds_P = model.log_odds(inputs.query_texts(pairs.query), inputs.document_texts(pairs.doc))
        return odds_P if options.activation == "none" else cast("Floats", expit(odds_P))

    return OpenTeacher(score, block=options.shard_size)


def _load(options: CrossEncoderConfig) -> "PairModel":
    folder = find_model(options.model, options.revision, _MODEL)
    check_model(folder)
    loader = import_module("negset.encoders.pair_model")
    return cast("PairModel", loader.load_pair_model(folder, options))
