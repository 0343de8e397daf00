"""Configuration of teachers: what scores pairs beyond the miners. A section is read only where a recipe asks for it."""

from pydantic import Field

from schemas.encoder import EncoderConfig
from schemas.section import Section


class GuideConfig(Section):
    """An encoder whose cosine judges what the miners proposed, better than the one that mines."""

    encoder: EncoderConfig = EncoderConfig(dimensions=512)
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class TeachConfig(Section):
    """Teachers, a section each."""

    guide: GuideConfig = GuideConfig()
