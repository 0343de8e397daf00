"""Show in Prefect's UI how the partitions of a dataset stand."""

from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext

from negset.periods.status import DatasetStatus


def show_status(status: DatasetStatus) -> None:
    """Put `status` into the run that is going on, as a table; each call makes a new version of it."""
    if FlowRunContext.get() is None:
        return
    rows = [
        {
            "partition": one.key,
            "state": one.state,
            "why": one.why,
            "version": one.version or "",
            "published": one.published_at or "",
            "negatives": one.rows,
            "kept": f"{one.kept:.1%}" if one.version else "",
            "warnings": one.warnings,
            "attempts": one.attempts,
        }
        for one in status.partitions
    ]
    counted = ", ".join(f"{count} {state}" for state, count in status.counts().items())
    create_table_artifact(
        table=rows,
        key=f"negset-partitions-{status.dataset.replace('_', '-')}",
        description=f"Partitions of {status.dataset}: {counted or 'none expected yet'}",
    )
