"""What a batch plan came to, in words."""

from collections.abc import Iterator, Sequence
from typing import Final

from schemas.batches import EpochCounts, PlanManifest

_SHOWN: Final = 12  # epochs that are listed one by one


def describe_plan(manifest: PlanManifest) -> Iterator[str]:
    """Say in a few lines what the plan in `manifest` has, for somebody who has never seen one."""
    epochs = manifest.epochs
    yield f"strategy    {manifest.strategy}, {len(epochs)} epochs of batches of {manifest.batch_size}"
    yield _queries(manifest)
    yield _visits(manifest)
    grouped = [epoch for epoch in epochs if epoch.same_group is not None and epoch.pairs]
    if any((epoch.by_chance or 0.0) < 1.0 for epoch in grouped):
        share = sum(epoch.same_group or 0 for epoch in grouped) / sum(epoch.pairs for epoch in grouped)
        chance = sum(epoch.by_chance or 0.0 for epoch in grouped) / len(grouped)
        yield (
            f"groups      {share:.1%} of the pairs of queries in a batch are of one group; "
            f"in a random order {chance:.1%} would be"
        )
    yield from _masks(epochs)
    yield from _notes(epochs)
    if any(epoch.stage for epoch in epochs) or len({(epoch.batches, epoch.visits) for epoch in epochs}) > 1:
        yield from _by_epoch(epochs)


def _queries(manifest: PlanManifest) -> str:
    left = "".join(f"; {count:,} left out: {reason}" for reason, count in manifest.left_out.items())
    return f"queries     {manifest.queries:,} of split {manifest.split!r} can be trained on{left}"


def _visits(manifest: PlanManifest) -> str:
    least, mean, most = manifest.visits_per_query
    batches = sum(epoch.batches for epoch in manifest.epochs)
    smallest = min((epoch.smallest for epoch in manifest.epochs), default=0)
    largest = max((epoch.largest for epoch in manifest.epochs), default=0)
    head = f"batches     {batches:,}, of {smallest:,} to {largest:,} queries; "
    if least == most == 1.0:
        return f"{head}each query is in one batch of each epoch"
    never = f"; {manifest.never_visited:,} never" if manifest.never_visited else ""
    return f"{head}a query is visited {mean:.2f} times an epoch on average ({least:.2f} to {most:.2f}{never})"


def _masks(epochs: Sequence[EpochCounts]) -> Iterator[str]:
    known = sum(epoch.masked_known for epoch in epochs)
    suspects = sum(epoch.masked_suspects for epoch in epochs)
    yield (
        f"masked      {known:,} pairs of a query and another of its positives that a batch would count as a negative"
        f"{f'; {suspects:,} more that the plan takes for false negatives' if suspects else ''}"
    )
    off, batches = sum(epoch.in_batch_off for epoch in epochs), sum(epoch.batches for epoch in epochs)
    if off:
        yield f"in-batch    off in {off:,} of {batches:,} batches: there only a query's own hard negatives count"


def _notes(epochs: Sequence[EpochCounts]) -> Iterator[str]:
    totals: dict[str, int] = {}
    for epoch in epochs:
        for name, count in epoch.notes.items():
            totals[name] = totals.get(name, 0) + count
    for name, count in sorted(totals.items()):
        if count:
            yield f"{'':<12}{count:,} {name.replace('_', ' ')}, in all epochs together"


def _by_epoch(epochs: Sequence[EpochCounts]) -> Iterator[str]:
    for epoch in epochs[:_SHOWN]:
        stage = f", {epoch.stage}" if epoch.stage else ""
        yield f"  epoch {epoch.epoch:<5} {epoch.visits:,} visits in {epoch.batches:,} batches{stage}"
    if len(epochs) > _SHOWN:
        yield f"  and {len(epochs) - _SHOWN} epochs more"
