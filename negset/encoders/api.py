"""Vectors from an HTTP service in the shape of OpenAI's embeddings API.

`POST {url}/embeddings` with `{"model": ..., "input": [...]}` answers `{"data": [{"index": 0, "embedding": [...]}]}`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, FittingCorpus, Role
from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError, ContractError
from negset.progress import Progress
from negset.service import find_key, open_client, post
from schemas.encoder import EncoderConfig

VERSION = 1
PROBE = "probe"


@dataclass(frozen=True)
class ApiEncoder:
    """Encode by a service."""

    fingerprint: str
    dimensions: int
    config: EncoderConfig
    wait: Callable[[float], None]
    api_key: str = field(default="", repr=False)

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode `texts` with the prompt of `role` in front; `ids` change nothing.

        Raises ContractError where the service gives vectors of another width than before.
        """
        prompt = self.config.query_prompt if role == "query" else self.config.document_prompt
        vectors_ND = request_vectors([prompt + text for text in texts], self.config, self.api_key, self.wait)
        if len(texts) and vectors_ND.shape[1] != self.dimensions:
            message = (
                f"{self.config.url} gave vectors of {vectors_ND.shape[1]} dimensions, {self.dimensions} before: "
                f"does model {self.config.model!r} still mean the same?"
            )
            raise ContractError(message)
        return normalise_rows(vectors_ND.reshape(len(texts), self.dimensions))


def identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    """Name what the vectors depend on, as far as a client can know: a service may change its model unseen."""
    named = ("url", "model", "revision", "query_prompt", "document_prompt")
    return {"version": VERSION} | {name: getattr(config, name) for name in named}


def prepare(config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
    """Check that `config` names a service and a model."""
    if not config.url.startswith(("http://", "https://")) or not config.model:
        message = (
            f"the api encoder needs encoder.url (http or https, is {config.url!r}) and encoder.model ({config.model!r})"
        )
        raise ConfigError(message)
    return 0


def open_folder(config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
    """Ask the service for one vector, to learn its width and whether the key is right."""
    key = find_key(config.api_key_env, secrets, "encoder")
    dimensions = request_vectors([PROBE], config, key, time.sleep).shape[1]
    return ApiEncoder(fingerprint=fingerprint, dimensions=dimensions, config=config, wait=time.sleep, api_key=key)


def request_vectors(
    inputs: Sequence[str], config: EncoderConfig, api_key: str, wait: Callable[[float], None]
) -> NDArray[np.float64]:
    """Ask for the vectors of `inputs`, `config.batch_size` at a time: (n, d), in their order."""
    url, blocks = f"{config.url.rstrip('/')}/embeddings", []
    with open_client(api_key) as client:
        for start in range(0, len(inputs), config.batch_size):
            batch = list(inputs[start : start + config.batch_size])
            response = post(client, url, {"model": config.model, "input": batch}, wait, "encoder")
            blocks.append(read_vectors(response, len(batch), config.url))
    if len({block.shape[1] for block in blocks}) > 1:
        message = f"{config.url} gave vectors of different dimensions: {sorted({block.shape[1] for block in blocks})}"
        raise ContractError(message)
    return np.concatenate(blocks) if blocks else np.empty((0, 0))


def read_vectors(response: httpx.Response, wanted: int, url: str) -> NDArray[np.float64]:
    """Give the `wanted` vectors of `response` in the order of their `index`; raise ContractError where they are not."""
    try:
        rows = sorted(response.json()["data"], key=lambda row: int(row["index"]))
        places = [int(row["index"]) for row in rows]
        vectors_ND = np.array([row["embedding"] for row in rows], dtype=np.float64)
    except (ValueError, KeyError, TypeError) as error:
        message = f"{url} answered in another shape than {{data: [{{index, embedding}}]}}: {error!r}"
        raise ContractError(message) from error
    if places != list(range(wanted)) or vectors_ND.ndim != 2:
        message = f"{url} answered {wanted} texts with vectors of shape {vectors_ND.shape}, indices {places[:5]} ..."
        raise ContractError(message)
    return vectors_ND
