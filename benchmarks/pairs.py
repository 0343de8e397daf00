"""Pairs of texts to train on, and a transformer with random weights to train: what benchmarks of training share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from negset.training.examples import Examples, Groups


@dataclass(frozen=True)
class Texts:
    """A query, a positive and a negative for each row."""

    queries: list[str]
    positives: list[str]
    negatives: list[str]


def draw_texts(words: int, rows: int, lengths: tuple[int, int] = (10, 60), spread: float = 0.5) -> Texts:
    """Draw texts of words by Zipf's law, of log-normal lengths around those of a query and of a document.

    A `spread` of 0 makes all of one length.
    """
    drawn = np.random.default_rng(13)

    def column(mean: int) -> list[str]:
        sizes = np.clip(drawn.lognormal(np.log(mean), spread, rows).round(), 2, 4 * mean).astype(int)
        # Zipf's law by the logarithm of a uniform number.
        chosen = np.exp(drawn.uniform(0, np.log(words), int(sizes.sum()))).astype(int)
        return [" ".join(f"w{word}" for word in text) for text in np.split(chosen, np.cumsum(sizes)[:-1])]

    return Texts(column(lengths[0]), column(lengths[1]), column(lengths[1]))


def examples_of(texts: Texts) -> Examples:
    """Give what our loop trains on: a positive and a hard negative of its own for each query."""
    rows = len(texts.queries)
    ids = [f"{row:07}" for row in range(2 * rows)]

    def each(first: int) -> Groups:
        return Groups(np.arange(rows + 1), np.arange(first, first + rows))

    return Examples(
        query_ids=ids[:rows],
        query_texts=texts.queries,
        document_ids=ids,
        document_texts=[*texts.positives, *texts.negatives],
        positives=each(0),
        negatives=each(rows),
        negative_weights=np.ones(rows, dtype=np.float32),
        known=each(0),
        left_out={},
    )


def transformer_start(words: int, layers: int, hidden: int, heads: int, folder: Path) -> str:
    """Write a BERT of this shape with random weights, one token for each word, to `folder`; give where."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{word}" for word in range(1, words + 1))]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    torch.manual_seed(3)
    shape = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    BertModel(BertConfig(vocab_size=len(tokens), intermediate_size=4 * hidden, **shape)).save_pretrained(
        folder / "bert"
    )
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    bert = Transformer(str(folder / "bert"))
    whole = SentenceTransformer(modules=[bert, Pooling(bert.get_embedding_dimension())], device="cpu")
    whole.save(str(folder / "start"), create_model_card=False)
    return str(folder / "start")
