"""Configuration of teachers: what scores pairs beyond the miners. A section is read only where a recipe asks for it."""

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


class TeachConfig(Section):
    """Teachers, a section each."""

    guide: GuideConfig = GuideConfig()
    relevance: RelevanceConfig = RelevanceConfig()
