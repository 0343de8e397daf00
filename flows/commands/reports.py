"""What commands say of a set."""

from pathlib import Path

from pydantic import BaseModel

from negset.errors import listed
from negset.publishing.manifest import read_manifest
from negset.store import read_json
from negset.training.reports.label_bias import LabelBiasFigures, describe_label_bias
from negset.training.reports.taught import TaughtFigures, describe_taught

_MEASURES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10", "recall_at_100": "recall@100"}


class HeldOut(BaseModel):
    """What metrics.json says of the held-out queries."""

    before: dict[str, float]
    after: dict[str, float]


class Fallen(BaseModel):
    """What report.json says of the groups of queries that fell."""

    regressions: list[dict[str, str]]


def describe_set(version: Path) -> str:
    """Say in a few lines where the `version` and its page lie and what became of the queries."""
    manifest = read_manifest(version)
    counts, queries = manifest.counts, manifest.counts.queries
    warned = [check.name for check in manifest.validation.checks if not check.passed]
    dropped = "".join(f"\n            {count:,} {reason}" for reason, count in queries.dropped.items())
    return (
        f"set         {version}\n"
        f"page        {version / 'report.html'}\n"
        f"queries     {queries.total:,}: {queries.kept:,} kept, {queries.short:,} short, "
        f"{sum(queries.dropped.values()):,} dropped{':' if dropped else ''}{dropped}\n"
        f"negatives   {counts.candidates.chosen:,} of {counts.candidates.mined:,} candidates"
        f"{f'{chr(10)}warnings    {listed(warned)}' if warned else ''}"
    )


def describe_training(folder: Path) -> str:
    """Say in a few lines where the run in `folder` and its page lie, what it measured, and which groups fell."""
    written = read_json(folder / "metrics.json")
    metrics = HeldOut.model_validate(written["held_out"])
    queries = int(metrics.before["queries"])
    lines = [f"model       {folder / 'model'}", f"{'':<12}{'before':>8} {'after':>8}   on {queries:,} held-out queries"]
    for name, label in _MEASURES.items():
        lines.append(f"{label:<12}{metrics.before[name]:>8.4f} {metrics.after[name]:>8.4f}")
    if written["novel"] is not None:
        novel = HeldOut.model_validate(written["novel"])
        lines.append(
            f"{'nDCG@10':<12}{novel.before['ndcg_at_10']:>8.4f} {novel.after['ndcg_at_10']:>8.4f}   "
            f"on the {int(novel.before['queries']):,} of them that share no positive with a trained query"
        )
    if written.get("label_bias") is not None:
        bias = LabelBiasFigures.model_validate(written["label_bias"])
        lines.append(f"loss        {describe_label_bias(bias)}")
    if written.get("teacher") is not None:
        lines.append(f"teacher     {describe_taught(TaughtFigures.model_validate(written['teacher']))}")
    lines.append(f"page        {folder / 'report.html'}")
    fell = Fallen.model_validate(read_json(folder / "report.json")).regressions
    lines += [f"{'fell':<12}{one['kind']} {one['name']}" for one in fell]
    return "\n".join(lines)
