"""What is said of a teacher that did not score every query."""

from pydantic import BaseModel


class TaughtFigures(BaseModel):
    """What metrics.json says of the teacher; see `negset.training.signals.Taught`."""

    queries: int
    taught: int
    without_positive: int
    without_negative: int


def describe_taught(found: TaughtFigures) -> str:
    """Say how many queries learned from the teacher and what the others lack."""
    if found.taught == found.queries:
        return f"taught all {found.queries:,} queries"
    return (
        f"taught {found.taught:,} of {found.queries:,} queries; the others learned nothing from it: it scored no "
        f"positive of {found.without_positive:,}, no negative of {found.without_negative:,}"
    )
