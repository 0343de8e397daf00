"""Configuration of an encoder: what turns texts into vectors."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.section import Section


class EncoderConfig(Section):
    """What turns texts into vectors."""

    backend: Literal["lsa", "hashing", "sentence-transformers", "precomputed", "api"] = "lsa"
    dimensions: int = Field(256, ge=2)
    """Width of the vectors of `lsa` and `hashing`; the other backends know their own."""
    pin: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")] = ""
    """Label under which `lsa` stays as it was first fitted, so that a new document is embedded alone and mined alone;
    empty to fit it on the corpus of every build."""
    model: str = ""
    """Name or folder of a model; of an API, its model name."""
    revision: str = ""
    """Commit, tag or branch of a model read by name; of an API, what names its state."""
    query_prompt: str = ""
    """Put before each query by `sentence-transformers` and `api`; empty for the model's own."""
    document_prompt: str = ""
    max_length: int = Field(256, ge=1)
    """Tokens after which `sentence-transformers` cuts a text."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision that `sentence-transformers` computes in."""
    storage: Literal["float32", "float16"] = "float32"
    """Precision that vectors are kept in: float16 takes half the disk and moves scores by about 0.0002."""
    query_vectors: str = ""
    """Parquet or .npy of precomputed query vectors."""
    document_vectors: str = ""
    url: str = ""
    """Base URL of an embeddings API in the OpenAI shape."""
    api_key_env: str = ""
    """Name of the environment variable that holds the API key. The key itself never stands in a config."""
    batch_size: int = Field(64, ge=1, json_schema_extra={"runtime": True})
    """Texts that a model or an API is given at once."""
    shard_size: int = Field(8192, ge=1, json_schema_extra={"runtime": True})
    """Texts in a shard; a kill loses at most one shard."""
    device: str = Field("auto", json_schema_extra={"runtime": True})
