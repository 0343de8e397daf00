"""What commands say of a set."""

from pathlib import Path

from negset.publishing.manifest import read_manifest


def describe_set(version: Path) -> str:
    """Say in a few lines where the `version` and its page lie and what became of the queries."""
    counts = read_manifest(version).counts
    queries = counts.queries
    dropped = "".join(f"\n            {count:,} {reason}" for reason, count in queries.dropped.items())
    return (
        f"set         {version}\n"
        f"page        {version / 'report.html'}\n"
        f"queries     {queries.total:,}: {queries.kept:,} kept, {queries.short:,} short, "
        f"{sum(queries.dropped.values()):,} dropped{':' if dropped else ''}{dropped}\n"
        f"negatives   {counts.candidates.chosen:,} of {counts.candidates.mined:,} candidates"
    )
