"""A static encoder: a text is the sum of a vector for each of its words, scaled to length 1.

Each word has an embedding and the logarithm of a weight; its vector is `exp(log_weight) * embedding`. The
weight is one number for the word, so a few hundred queries teach which words matter, for documents that no
query was about too; the embeddings learn what the training pairs themselves say. Saving folds both into one
table, the StaticEmbedding of sentence-transformers.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialise
from scipy.sparse import csr_matrix, vstack
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch.nn.functional import embedding, normalize

from negset.encoders.encoder import Role
from negset.errors import ConfigError
from negset.store import write_durably
from negset.training.examples import Rows
from negset.training.model import Embed, Pace, StaticStart
from negset.training.sophia import Sophia
from schemas.train import TrainConfig

UNKNOWN: Final = "[UNK]"
"""Token 0: what every word that is not in the vocabulary becomes. It counts only where no word is known."""
UNKNOWN_LENGTH: Final = 1e-9
"""Length of its saved vector: nothing beside a known word, yet a text of unknown words alone has a direction."""
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


class BagContext(Protocol):
    """What the way forth leaves for the way back."""

    counts_NU: csr_matrix


class BagSum(torch.autograd.Function):
    """A product of a sparse matrix of counts and a dense one, with the gradient of the dense one.

    By scipy: several times faster than torch's embedding_bag, whose sparse gradient holds a row
    for each word of each text, and the same whatever the number of threads.
    """

    @staticmethod
    def forward(ctx: BagContext, rows_UD: torch.Tensor, counts_NU: csr_matrix) -> torch.Tensor:
        """Sum `rows_UD` as often as `counts_NU` says."""
        ctx.counts_NU = counts_NU
        return torch.from_numpy(counts_NU @ rows_UD.numpy())

    @staticmethod
    def backward(ctx: BagContext, gradient_ND: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Hand each row the gradients of the texts it stands in."""
        return torch.from_numpy(ctx.counts_NU.T @ gradient_ND.numpy()), None


class BagModule(torch.nn.Module):
    """The parameters of a bag: embeddings (V, D) and logarithms of weights (V)."""

    def __init__(self, embeddings_VD: torch.Tensor) -> None:
        super().__init__()
        self.embedding = torch.nn.Parameter(embeddings_VD)
        self.log_weight = torch.nn.Parameter(torch.zeros(len(embeddings_VD)))

    def forward(self, counts_NV: csr_matrix) -> torch.Tensor:
        """Give the vectors of the texts whose words `counts_NV` counts."""
        words_U, column = np.unique(counts_NV.indices, return_inverse=True)
        shape = (counts_NV.shape[0], len(words_U))
        counts_NU = csr_matrix((counts_NV.data, column, counts_NV.indptr), shape=shape)
        words = torch.from_numpy(words_U.astype(np.int64))
        # Sparse: a batch moves the words that stand in it and leaves the others and their moments alone.
        rows_UD = embedding(words, self.embedding, sparse=True) * torch.exp(self.log_weight[words])[:, None]
        return normalize(cast("torch.Tensor", BagSum.apply(rows_UD, counts_NU)))  # type: ignore[no-untyped-call]


class Bag:
    """A static encoder that can be trained, on the CPU: seconds there, and always the same result."""

    pace = PACE
    device = torch.device("cpu")

    def __init__(
        self,
        tokenizer: Tokenizer,
        module: BagModule,
        learning_rate: float,
        prompts: dict[Role, str],
        optimizer: Literal["adamw", "sophia"] = "adamw",
    ) -> None:
        self.optimizer = optimizer
        self.tokenizer = tokenizer
        self.module = module
        self.learning_rate = learning_rate
        self.prompts = prompts

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Count the words of `texts` once; the function given looks rows up."""
        counted = count_words(self.tokenizer, [self.prompts[role] + text for text in texts])

        def embed(rows: Rows) -> torch.Tensor:
            return cast("torch.Tensor", self.module(counted[rows]))

        return embed

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of `texts`; a text without a word has a zero vector."""
        blocks = [np.empty((0, self.module.embedding.shape[1]), dtype=np.float32)]
        with torch.no_grad():
            for start in range(0, len(texts), _BLOCK):
                block = [self.prompts[role] + text for text in texts[start : start + _BLOCK]]
                blocks.append(self.module(count_words(self.tokenizer, block)).numpy())
        return np.concatenate(blocks)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Give lazy Adam for the embeddings, Adam for the weights; a rate of its own for each.

        Sophia moves both; it too leaves words that are not in a batch where they are.
        """
        scale = self.learning_rate / EMBEDDING_RATE
        if self.optimizer == "sophia":
            groups = [
                {"params": [self.module.embedding], "lr": self.learning_rate},
                {"params": [self.module.log_weight], "lr": WEIGHT_RATE * scale},
            ]
            return [Sophia(groups, weight_decay=0.0)]
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
            folded_VD[0] = normalize(folded_VD[0], dim=0) * UNKNOWN_LENGTH
        static = folder / "0_StaticEmbedding"
        static.mkdir(parents=True, exist_ok=True)
        (folder / "1_Normalize").mkdir(exist_ok=True)
        write_durably(static / "model.safetensors", serialise({"embedding.weight": folded_VD.cpu().contiguous()}))
        write_durably(static / "tokenizer.json", self.tokenizer.to_str(pretty=True).encode())
        settings = {"prompts": self.prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
        write_durably(folder / "config_sentence_transformers.json", json.dumps(settings, indent=2).encode())
        # Last: without it sentence-transformers takes the folder for another kind of model.
        write_durably(folder / "modules.json", json.dumps(_MODULES, indent=2).encode())


def open_bag(config: TrainConfig, start: StaticStart) -> Bag:
    """Give the untrained bag of `start`, its embeddings scaled to a mean length of 1.

    The scale changes no vector of a text, and makes one learning rate fit every start.
    Raises ConfigError for embeddings that do not fit the tokens, are zero or not finite, and for options that only
    a transformer knows.
    """
    _check_options(config)
    embeddings_VD = np.asarray(start.embeddings_VD, dtype=np.float32)
    if embeddings_VD.ndim != 2 or len(embeddings_VD) != len(start.tokens):
        message = f"{len(start.tokens)} tokens need as many embeddings, not an array of shape {embeddings_VD.shape}"
        raise ConfigError(message)
    length = float(np.linalg.norm(embeddings_VD.astype(np.float64), axis=1).mean()) if len(embeddings_VD) else 0.0
    if not 0 < length < np.inf:
        message = f"the embeddings to start from have a mean length of {length}: fit the encoder again"
        raise ConfigError(message)
    width = embeddings_VD.shape[1]
    unknown_1D = np.where(np.arange(width) % 2, -1, 1).astype(np.float32)[None, :] / np.float32(np.sqrt(width))
    padded_VD = np.vstack([unknown_1D, embeddings_VD / np.float32(length)])
    rate = config.learning_rate or EMBEDDING_RATE
    prompts: dict[Role, str] = {"query": config.query_prompt, "document": config.document_prompt}
    return Bag(word_tokenizer(start), BagModule(torch.from_numpy(padded_VD)), rate, prompts, config.optimizer)


def _check_options(config: TrainConfig) -> None:
    meant = {
        "precision": config.precision == "bfloat16",
        "gradient_checkpointing": config.gradient_checkpointing,
        "compile": config.compile,
    }
    wrong = [f"train.{name}" for name, asked in meant.items() if asked]
    if wrong:
        message = f"{', '.join(wrong)} is for transformers: leave it out, or set train.model to one"
        raise ConfigError(message)


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


def count_words(tokenizer: Tokenizer, texts: Sequence[str]) -> csr_matrix:
    """Count the known words of each of `texts`, (N, V) in float32; unknown ones where none is known."""
    blocks = [_count_block(tokenizer, texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
    empty = csr_matrix((0, tokenizer.get_vocab_size()), dtype=np.float32)
    return vstack([empty, *blocks], format="csr")


def _count_block(tokenizer: Tokenizer, texts: Sequence[str]) -> csr_matrix:
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    ids = [np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]
    row, word = np.repeat(np.arange(len(ids)), [len(text) for text in ids]), np.concatenate(ids)
    has_known = np.bincount(row[word > 0], minlength=len(ids)) > 0
    kept = (word > 0) | ~has_known[row]
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    counts = csr_matrix((ones, (row[kept], word[kept])), shape=(len(ids), tokenizer.get_vocab_size()))
    counts.sum_duplicates()
    return counts
