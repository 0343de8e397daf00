"""The dataset card: README.md, whose YAML head lets `datasets.load_dataset` take the folder as it is."""

import json
from collections.abc import Iterator
from html import escape

from negset.publishing.flat_view import split_slug
from schemas.manifest import SetManifest

WHOLE = "full"
"""Name of the one split of a relational table, which holds all of its splits."""

_ABOUT = {
    "ntuples": "one row per query and positive, texts only: `query, positive, negative_1 …`, ready for a trainer",
    "queries": "the queries that were kept or are short",
    "documents": "every document that a positive or a negative names",
    "positives": "which documents are relevant for which query",
    "false_negatives": "documents that a rule suspects to be relevant for a query: mask them in a batch",
    "negatives": "the negatives of each query by rank, with miner, scores and the positive's score",
    "diagnostics": "how the scores of each query's negatives lie beside its positive's, in five numbers",
    "fates": "what became of every query that was read, and why",
    "candidates": "everything that was mined, with the rule that rejected it, its value and the threshold",
}


def dataset_card(manifest: SetManifest, identity: str) -> str:
    """Write the card of the version `identity` that `manifest` describes."""
    return "\n".join([*_head(manifest), "", *_body(manifest, identity), ""])


def _head(manifest: SetManifest) -> Iterator[str]:
    """Yield the YAML head; strings are written as JSON, which YAML reads as it stands."""
    yield "---"
    yield f"pretty_name: {json.dumps(manifest.dataset)}"
    if manifest.licence:
        yield f"license: {json.dumps(manifest.licence)}"
    yield 'task_categories: ["text-retrieval", "sentence-similarity"]'
    yield f"size_categories: {json.dumps([size_category(manifest.counts.rows['negatives'])])}"
    yield 'tags: ["negset", "hard-negatives", "information-retrieval"]'
    yield "configs:"
    for table in _ordered(manifest):
        yield f"- config_name: {table}"
        if table == "ntuples":
            yield "  default: true"
        yield "  data_files:"
        for split, pattern in _patterns(manifest, table):
            yield f"  - split: {split}"
            yield f"    path: {pattern}"
    yield "---"


def size_category(rows: int) -> str:
    """Name the class of sizes that a set of so many `rows` is in, in the words of dataset cards."""
    bounds = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    for place, bound in enumerate(bounds):
        if rows < 10 ** (3 + place):
            return f"{bounds[place - 1]}<n<{bound}" if place else f"n<{bound}"
    return f"n>{bounds[-1]}"


def _patterns(manifest: SetManifest, table: str) -> list[tuple[str, str]]:
    if table != "ntuples":
        return [(WHOLE, f"data/{table}/*.parquet")]
    slugs = [split_slug(split) for split in manifest.counts.rows_by_split["ntuples"]]
    return [(slug, f"data/ntuples/{slug}/*.parquet") for slug in slugs]


def _ordered(manifest: SetManifest) -> list[str]:
    present = {file.table for file in manifest.files}
    return [table for table in _ABOUT if table in present]


def _body(manifest: SetManifest, identity: str) -> Iterator[str]:
    counts = manifest.counts
    yield f"# {manifest.dataset}"
    yield ""
    if manifest.description:
        yield escape(manifest.description, quote=False)
        yield ""
    yield (
        f"A negative set for training retrievers, version `{identity}`: {counts.rows['negatives']:,} negatives for "
        f"{counts.rows['queries']:,} queries, chosen by the recipe `{manifest.recipe.name}` among "
        f"{counts.candidates.mined:,} candidates. Open `report.html` to look at it."
    )
    yield ""
    yield "| config | rows | what |"
    yield "|---|---:|---|"
    for table in _ordered(manifest):
        yield f"| `{table}` | {counts.rows[table]:,} | {_ABOUT[table]} |"
    yield ""
    dropped = sum(counts.queries.dropped.values())
    yield f"Of {counts.queries.total:,} queries, {counts.queries.kept:,} got all {counts.negatives_wanted} negatives,"
    yield f"{counts.queries.short:,} got fewer, and {dropped:,} were dropped; `fates` says why."
    yield f"{counts.queries_without_tuple:,} published queries are not in `ntuples`, which takes full ones only."
    yield ""
    yield from _usage(manifest)


def _usage(manifest: SetManifest) -> Iterator[str]:
    splits = [split_slug(split) for split in manifest.counts.rows_by_split["ntuples"]]
    split = "train" if "train" in splits else (splits or ["train"])[0]
    yield "## Read it"
    yield ""
    yield "```python"
    yield "folder = '/where/this/file/lies'  # an absolute path"
    yield f'datasets.load_dataset(folder, "ntuples", split="{split}")'
    yield f'datasets.load_dataset(folder, "negatives", split="{WHOLE}")'
    yield 'polars.read_parquet(f"{folder}/data/negatives/*.parquet")'
    yield "duckdb.sql(f\"from '{folder}/data/negatives/*.parquet'\")"
    yield "```"
    yield ""
    yield "## Check it"
    yield ""
    yield "```sh"
    yield "sha256sum -c --quiet manifest-sha256.txt tagmanifest-sha256.txt"
    yield "sha256sum manifest.json | cut -c1-16    # the version id"
    yield "python -m bagit --validate .            # pip install bagit: extra files too"
    yield "```"
