"""Vectors from an HTTP service in the shape of OpenAI's embeddings API.

`POST {url}/embeddings` with `{"model": ..., "input": [...]}` answers `{"data": [{"index": 0, "embedding": [...]}]}`.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, FittingCorpus, Role
from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError, ContractError, TransientError
from negset.progress import Progress
from schemas.encoder import EncoderConfig

VERSION = 1
ATTEMPTS = 6
FIRST_WAIT = 0.5
"""Seconds before the second attempt; doubled for each further one."""
LONGEST_WAIT = 60.0
TIMEOUT = 60.0
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
    key = ""
    if config.api_key_env:
        key = secrets.get(config.api_key_env, "")
        if not key:
            message = f"encoder.api_key_env names {config.api_key_env!r}, which is not set in the environment"
            raise ConfigError(message)
    dimensions = request_vectors([PROBE], config, key, time.sleep).shape[1]
    return ApiEncoder(fingerprint=fingerprint, dimensions=dimensions, config=config, wait=time.sleep, api_key=key)


def request_vectors(
    inputs: Sequence[str], config: EncoderConfig, api_key: str, wait: Callable[[float], None]
) -> NDArray[np.float64]:
    """Ask for the vectors of `inputs`, `config.batch_size` at a time: (n, d), in their order."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    blocks = []
    with httpx.Client(headers=headers, timeout=TIMEOUT) as client:
        for start in range(0, len(inputs), config.batch_size):
            batch = list(inputs[start : start + config.batch_size])
            blocks.append(read_vectors(post_batch(client, config, batch, wait), len(batch), config.url))
    if len({block.shape[1] for block in blocks}) > 1:
        message = f"{config.url} gave vectors of different dimensions: {sorted({block.shape[1] for block in blocks})}"
        raise ContractError(message)
    return np.concatenate(blocks) if blocks else np.empty((0, 0))


def post_batch(
    client: httpx.Client, config: EncoderConfig, batch: list[str], wait: Callable[[float], None]
) -> httpx.Response:
    """Post `batch`; on 429, 5xx and broken connections wait and try again, ATTEMPTS times at most.

    Raises TransientError where all of them failed, ConfigError on any other refusal.
    """
    url = f"{config.url.rstrip('/')}/embeddings"
    failure = ""
    for attempt in range(ATTEMPTS):
        asked = 0.0
        try:
            response = client.post(url, json={"model": config.model, "input": batch})
        except httpx.TransportError as error:
            failure = f"{type(error).__name__}: {error}"
        else:
            if response.is_success:
                return response
            failure = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code != 429 and response.status_code < 500:
                message = (
                    f"{url} refused model {config.model!r} with {failure}. Check encoder.url, model and api_key_env"
                )
                raise ConfigError(message)
            asked = _seconds(response.headers.get("retry-after", ""))
        if attempt + 1 < ATTEMPTS:
            wait(min(max(asked, FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)), LONGEST_WAIT))
    message = f"{url} failed {ATTEMPTS} times, last with {failure}. Vectors made so far are kept; run again later"
    raise TransientError(message)


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


def _seconds(header: str) -> float:
    return float(header) if header.replace(".", "", 1).isdigit() else 0.0
