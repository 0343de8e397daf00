"""A static encoder: a text is the sum of a vector for each of its words, scaled to length 1.

Each word has an embedding and the logarithm of a weight; its vector is `exp(log_weight) * embedding`. The
weight is one number for the word, so a few hundred queries teach which words matter, for documents that no
query was about too; the embeddings learn what the training pairs themselves say. Saving folds both into one
table, the StaticEmbedding of sentence-transformers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialise
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch.nn.functional import embedding_bag, normalize

from negset.errors import ConfigError
from negset.store import write_durably
from negset.training.examples import Groups, Rows
from negset.training.model import Embed, Pace, Role, StaticStart, chosen_device
from schemas.config import TrainConfig

UNKNOWN: Final = "[UNK]"
"""Token 0: what every word that is not in the vocabulary becomes. It counts for nothing."""
EMBEDDING_RATE: Final = 5e-3
"""Peak learning rate of the embeddings, whose mean length is scaled to 1; chosen by measurement."""
WEIGHT_RATE: Final = 3e-2
"""Peak learning rate of the logarithms of the words' weights."""
PACE: Final = Pace(epochs=5, warm_up=0.0, gradient_limit=0.0)

_BLOCK: Final = 8192
_MODULES: Final = [
    {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": "sentence_transformers.models.StaticEmbedding"},
    {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
]


class BagModule(torch.nn.Module):
    """The parameters of a bag: embeddings (V, D) and logarithms of weights (V)."""

    def __init__(self, embeddings_VD: torch.Tensor) -> None:
        super().__init__()
        self.embedding = torch.nn.Parameter(embeddings_VD)
        self.log_weight = torch.nn.Parameter(torch.zeros(len(embeddings_VD)))

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Give the vectors of the bags that start at `offsets` of `ids`, each word `counts` times."""
        weights = counts * torch.exp(self.log_weight[ids])
        # Sparse: a batch moves the words that stand in it and leaves the others and their moments alone.
        sums = embedding_bag(ids, self.embedding, offsets, mode="sum", per_sample_weights=weights, sparse=True)
        return normalize(sums)


@dataclass(frozen=True)
class WordCounts:
    """Distinct known words of each text, and how often each stands there."""

    words: Groups
    counts: NDArray[np.float32]


class Bag:
    """A static encoder that can be trained."""

    pace = PACE

    def __init__(
        self,
        tokenizer: Tokenizer,
        module: BagModule,
        device: torch.device,
        learning_rate: float,
        prompts: dict[Role, str],
    ) -> None:
        self.tokenizer = tokenizer
        self.module = module.to(device)
        self.device = device
        self.learning_rate = learning_rate
        self.prompts = prompts

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Count the words of `texts` once; the function given looks rows up."""
        counted = count_words(self.tokenizer, [self.prompts[role] + text for text in texts])

        def embed(rows: Rows) -> torch.Tensor:
            return self._embed(counted, rows)

        return embed

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of `texts`; a text without a known word has a zero vector."""
        blocks = [np.empty((0, self.module.embedding.shape[1]), dtype=np.float32)]
        with torch.no_grad():
            for start in range(0, len(texts), _BLOCK):
                block = [self.prompts[role] + text for text in texts[start : start + _BLOCK]]
                vectors = self._embed(count_words(self.tokenizer, block), np.arange(len(block)))
                blocks.append(vectors.cpu().numpy())
        return np.concatenate(blocks)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Give lazy Adam for the embeddings, Adam for the weights; a rate of its own for each."""
        scale = self.learning_rate / EMBEDDING_RATE
        return [
            torch.optim.SparseAdam([self.module.embedding], lr=self.learning_rate),
            torch.optim.Adam([self.module.log_weight], lr=WEIGHT_RATE * scale),
        ]

    def save(self, folder: Path) -> None:
        """Write the folder of a sentence-transformers model: StaticEmbedding, then Normalize.

        StaticEmbedding takes the mean over all tokens, unknown ones too; Normalize makes it our sum's direction.
        """
        with torch.no_grad():
            folded_VD = self.module.embedding * torch.exp(self.module.log_weight)[:, None]
        static = folder / "0_StaticEmbedding"
        static.mkdir(parents=True, exist_ok=True)
        (folder / "1_Normalize").mkdir(exist_ok=True)
        write_durably(static / "model.safetensors", serialise({"embedding.weight": folded_VD.cpu().contiguous()}))
        write_durably(static / "tokenizer.json", self.tokenizer.to_str(pretty=True).encode())
        settings = {"prompts": self.prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
        write_durably(folder / "config_sentence_transformers.json", json.dumps(settings, indent=2).encode())
        # Last: without it sentence-transformers takes the folder for another kind of model.
        write_durably(folder / "modules.json", json.dumps(_MODULES, indent=2).encode())

    def _embed(self, counted: WordCounts, rows: Rows) -> torch.Tensor:
        entries = counted.words.entries(rows)
        offsets = np.r_[0, np.cumsum(counted.words.sizes()[rows])[:-1]] if len(rows) else rows
        ids, starts, counts = (
            torch.from_numpy(array).to(self.device)
            for array in (counted.words.rows[entries], offsets, counted.counts[entries])
        )
        vectors: torch.Tensor = self.module(ids, starts, counts)
        return vectors


def open_bag(config: TrainConfig, start: StaticStart) -> Bag:
    """Give the untrained bag of `start`, its embeddings scaled to a mean length of 1.

    The scale changes no vector of a text, and makes one learning rate fit every start.
    Raises ConfigError for embeddings that do not fit the tokens, are zero or not finite.
    """
    embeddings_VD = np.asarray(start.embeddings_VD, dtype=np.float32)
    if embeddings_VD.ndim != 2 or len(embeddings_VD) != len(start.tokens):
        message = f"{len(start.tokens)} tokens need as many embeddings, not an array of shape {embeddings_VD.shape}"
        raise ConfigError(message)
    length = float(np.linalg.norm(embeddings_VD.astype(np.float64), axis=1).mean()) if len(embeddings_VD) else 0.0
    if not 0 < length < np.inf:
        message = f"the embeddings to start from have a mean length of {length}: fit the encoder again"
        raise ConfigError(message)
    padded_VD = np.vstack([np.zeros((1, embeddings_VD.shape[1]), dtype=np.float32), embeddings_VD / np.float32(length)])
    rate = config.learning_rate or EMBEDDING_RATE
    prompts: dict[Role, str] = {"query": config.query_prompt, "document": config.document_prompt}
    device = chosen_device(config.device)
    return Bag(word_tokenizer(start), BagModule(torch.from_numpy(padded_VD)), device, rate, prompts)


def word_tokenizer(start: StaticStart) -> Tokenizer:
    """Build the tokenizer that is trained with and that travels with the model.

    Raises ConfigError for repeated tokens.
    """
    vocabulary = {UNKNOWN: 0, **{token: place for place, token in enumerate(start.tokens, start=1)}}
    if len(vocabulary) != len(start.tokens) + 1:
        message = f"{len(start.tokens)} tokens to start from are not distinct, or hold {UNKNOWN!r}"
        raise ConfigError(message)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    # Lowercase works letter by letter; the last sigma of a word is the one letter that needs its neighbours.
    last_sigma = normalizers.Replace(Regex(r"(?<=\p{L})\u03a3(?!\p{L})"), "\u03c2")
    tokenizer.normalizer = normalizers.Sequence([last_sigma, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(start.pattern), behavior="removed", invert=True)
    return tokenizer


def count_words(tokenizer: Tokenizer, texts: Sequence[str]) -> WordCounts:
    """Count the known words of each of `texts`, in the order of the vocabulary."""
    width = tokenizer.get_vocab_size()
    sizes, words, counts = [np.zeros(1, dtype=np.int64)], [], []
    for start in range(0, len(texts), _BLOCK):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + _BLOCK]), add_special_tokens=False)
        ids = [np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]
        place = np.repeat(np.arange(len(ids)), [len(row) for row in ids])
        joined = np.concatenate(ids)
        keys, times = np.unique((place * width + joined)[joined > 0], return_counts=True)
        sizes.append(np.bincount(keys // width, minlength=len(ids)))
        words.append(keys % width)
        counts.append(times.astype(np.float32))
    offsets = np.cumsum(np.concatenate(sizes))
    rows = np.concatenate([np.empty(0, dtype=np.int64), *words])
    return WordCounts(Groups(offsets, rows), np.concatenate([np.empty(0, dtype=np.float32), *counts]))
