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


class PrototypeConfig(Section):
    """Clusters of the documents' vectors: what shares the cluster of a positive may say the same."""

    clusters: int = Field(0, ge=0)
    """How many; 0 for a tenth of the documents, at most 4,096."""
    query: Literal["positives", "own", "translated"] = "positives"
    """Whose clusters count: those of the query's positives; the one nearest to the query too; or the one whose
    queries are nearest to it, by the clusters of their positives (for encoders that keep queries and documents apart).
    """
    sample: int = Field(65_536, ge=1)
    """Documents that the clusters are fitted on, drawn by lot; all documents are put into them."""
    attempts: int = Field(5, ge=1)
    """Fits, of which the best stays."""
    rounds: int = Field(20, ge=1)
    """Rounds of one fit, at the most."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class NeighboursConfig(Section):
    """Labelled neighbours of a document: which share of them are positives of the query."""

    k: int = Field(20, ge=1)
    """Neighbours asked, the document itself never among them."""
    temperature: float = Field(0.1, gt=0, allow_inf_nan=False)
    """A neighbour counts exp(cosine / temperature)."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class TeachConfig(Section):
    """Teachers, a section each."""

    guide: GuideConfig = GuideConfig()
    prototype: PrototypeConfig = PrototypeConfig()
    neighbours: NeighboursConfig = NeighboursConfig()
