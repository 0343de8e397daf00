"""Configuration of teachers: what scores pairs beyond the miners. A section is read only where a recipe asks for it."""

from typing import Literal

from pydantic import Field

from schemas.encoder import EncoderConfig
from schemas.section import Section


class GuideConfig(Section):
    """An encoder whose cosine judges what the miners proposed, better than the one that mines."""

    encoder: EncoderConfig = EncoderConfig(dimensions=512)
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class RelevanceConfig(Section):
    """A small scorer that is fitted on the labels, for each query on those of other queries."""

    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    folds: int = Field(5, ge=2)
    """Parts that the queries are dealt into; each is scored by the model of the others."""
    random: int = Field(8, ge=0)
    """Random documents for each labelled query that count as irrelevant."""
    candidates: int = Field(16, ge=0)
    """Candidates drawn for each labelled query that count as irrelevant, unlabelled positives among them."""
    prior: float = Field(0.1, gt=0, lt=1)
    """Share of the candidates that is taken to be relevant; moves all scores, never their order within a fold."""


class CrossEncoderConfig(Section):
    """A model of sentence-transformers that reads query and document at once."""

    model: str = ""
    """Name or folder of a cross-encoder with one output. Its files are what counts, not where they lie."""
    revision: str = ""
    """Commit, tag or branch of a model read by name."""
    depth: int = Field(50, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    activation: Literal["sigmoid", "none"] = "sigmoid"
    """`sigmoid` for scores from 0 to 1, `none` for the model's bare output."""
    max_length: int = Field(512, ge=1)
    """Tokens after which query and document together are cut."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision that the model computes in."""
    batch_size: int = Field(32, ge=1, json_schema_extra={"runtime": True})
    """Pairs that the model is given at once."""
    shard_size: int = Field(1024, ge=1, json_schema_extra={"runtime": True})
    """Pairs that are kept at once; a kill loses at most so many."""
    device: str = Field("auto", json_schema_extra={"runtime": True})
    """Where the model runs: `auto`, `cpu`, `cuda`, …"""


class TeachConfig(Section):
    """Teachers, a section each."""

    guide: GuideConfig = GuideConfig()
    relevance: RelevanceConfig = RelevanceConfig()
    cross_encoder: CrossEncoderConfig = CrossEncoderConfig()
