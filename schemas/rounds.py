"""Configuration of rounds: how often a set is mined again with the model that was trained on the one before."""

from typing import Literal

from pydantic import Field

from schemas.section import Section

Strategy = Literal["ance", "adore", "ar2"]


class RoundsConfig(Section):
    """How rounds follow each other, and when they stop."""

    strategy: Strategy = "ance"
    """`ance` embeds all documents anew with each model; `adore` freezes them and trains queries alone, on negatives
    found at each step; `ar2` trains the retriever against a ranker and learns from it."""
    rounds: int = Field(3, ge=1, json_schema_extra={"runtime": True})
    """Rounds in all; those that an earlier run did are not done again."""
    begin: Literal["last", "first"] = "last"
    """What a round trains: the model of the round before, or the first one again."""
    depth: int = Field(200, ge=100)
    """Documents ranked for each query: what staleness compares, where positives are looked for, and among which `adore`
    finds negatives."""
    validation: float = Field(0.1, gt=0, le=0.5)
    """Share of the training queries that is never trained on and decides whether a round made things worse; those that
    share a positive stay together."""
    validation_split: str = ""
    """Split to use for that in their place, such as `dev`; empty for that share. Never the split `train.held_out`."""
    ranker_epochs: int = Field(1, ge=1)
    """Times a cross-encoder (`teach.cross_encoder.model`) sees each query in its phase of `ar2`."""
    ranker_learning_rate: float = Field(1e-5, gt=0)
    """Peak learning rate of the cross-encoder in its phase of `ar2`."""
