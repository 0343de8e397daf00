"""What selecting knows beside the candidates: which queries ask for negatives, ids, and near-duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ConfigError, ContractError, hint
from negset.lots import id_keys
from negset.mining.positives import doc_ids, known_positives, labelled_positives
from negset.mining.recipe import BoundRecipe
from negset.mining.rules import ChanceParams

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

HELD_OUT: Final = ("test", "dev", "val", "valid", "validation")
"""Splits that measure a model: nothing is trained on them."""
_ORDER: Final = {"test": 0, "dev": 1, "val": 1, "valid": 1, "validation": 1, "train": 3}
_OTHER_SPLIT: Final = 2


@dataclass(frozen=True)
class SelectionInputs:
    """What selecting knows beside the candidates. Arrays go by the rows of the snapshot's queries and documents."""

    queries: pl.DataFrame
    """query, query_id, split, `asked` (a mined split) and `reason` to drop it at once, if any."""
    doc_ids: pl.Series
    keys: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None
    """Hashes of the ids of queries and of documents, where a rule draws lots."""
    near_group: NDArray[np.uint32] | None
    near_positives: NDArray[np.uint64]
    """Sorted pairs of a query and the near-duplicate group of one of its known positives, packed."""
    unlabelled: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt32))
    """Queries without a labelled positive that were mined all the same: they need one that a rule finds."""
    weights: NDArray[np.float64] | None = None
    """What each query's negatives weigh before any rule; 1 for all where it is None."""


def needs_near_groups(recipe: BoundRecipe) -> bool:
    """Tell whether `recipe` asks which documents are near-duplicates."""
    return recipe.reads("near_group") or recipe.reads("near_positive")


def draws_lots(recipe: BoundRecipe) -> bool:
    """Tell whether a rule of `recipe` leaves something to chance."""
    return any(isinstance(step.params, ChanceParams) for step in recipe.rules)


def query_leaks(queries: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of `queries` whose normalised text stands in a split that is held out more than theirs.

    The order is test, dev or validation, other splits by name, train. Needs split and text_sha256.
    """
    order = pl.struct(
        pl.col("split").replace_strict(_ORDER, default=_OTHER_SPLIT, return_dtype=pl.Int8).alias("place"), "split"
    )
    most = pl.col("split").sort_by(order).first().over("text_sha256")
    return queries.filter(pl.col("split") != most)


def open_selection_inputs(
    snapshot: "Snapshot",
    recipe: BoundRecipe,
    near_group: NDArray[np.uint32] | None = None,
    *,
    splits: Sequence[str] = (),
    drop_leaks: bool = True,
    unlabelled: bool = False,
    dropped: pl.DataFrame | None = None,
) -> SelectionInputs:
    """Gather what selecting from `snapshot` by `recipe` needs.

    `near_group` is the near-duplicate group of each document (`duplicates.open_duplicates`); `splits` those whose
    queries get negatives, empty for all; `unlabelled` whether queries without a positive were mined. `dropped` has
    query_id and reason of further queries to drop at once.
    """
    queries = _with_reasons(snapshot, splits, dropped, drop_leaks=drop_leaks, unlabelled=unlabelled)
    bare = queries.filter("bare").get_column("query") if unlabelled else pl.Series([], dtype=pl.UInt32)
    queries = queries.drop("bare")
    ids = doc_ids(snapshot)
    if near_group is None and needs_near_groups(recipe):
        message = f"recipe {recipe.name!r} reads near_group, but no near-duplicates were given"
        raise ContractError(message)
    near_positives = np.zeros(0, np.uint64)
    if near_group is not None and recipe.reads("near_positive"):
        known = known_positives(snapshot)
        near_positives = np.unique(_pack(known["query"].to_numpy(), near_group[known["doc"].to_numpy()]))
    keys = (id_keys(queries["query_id"]), id_keys(ids)) if draws_lots(recipe) else None
    return SelectionInputs(queries, ids, keys, near_group, near_positives, bare)


def _with_reasons(
    snapshot: "Snapshot", splits: Sequence[str], dropped: pl.DataFrame | None, *, drop_leaks: bool, unlabelled: bool
) -> pl.DataFrame:
    queries = snapshot.queries().with_row_index("query").select("query", "query_id", "split", "text_sha256")
    known = queries["split"].unique().sort().to_list()
    for split in splits:
        if split not in known:
            message = f"mine.splits has {split!r}{hint(split, known)}; the source has {', '.join(known)}"
            raise ConfigError(message)
    leaks = query_leaks(queries)["query_id"] if drop_leaks else pl.Series([], dtype=pl.String)
    with_positive = labelled_positives(snapshot)["query"].unique()
    queries = queries.with_columns(bare=~pl.col("query").is_in(with_positive.implode()))
    reason = (
        pl.when(pl.col("bare") & pl.lit(not unlabelled))
        .then(pl.lit("no_positive"))
        .when(pl.col("query_id").is_in(leaks.implode()))
        .then(pl.lit("query_leak"))
    )
    asked = pl.col("split").is_in(list(splits) or known)
    known_reasons = queries.with_columns(reason=reason, asked=asked).drop("text_sha256")
    if dropped is None:
        return known_reasons
    further = dropped.select("query_id", further="reason")
    joined = known_reasons.join(further, on="query_id", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("reason", "further").alias("reason")).drop("further")


def near_known_positive(
    inputs: SelectionInputs, query: NDArray[np.uint32], group: NDArray[np.uint32]
) -> NDArray[np.bool_]:
    """Tell of each pair whether the `query` has a known positive in the near-duplicate `group`."""
    known, pairs = inputs.near_positives, _pack(query, group)
    if not len(known):
        return np.zeros(len(pairs), bool)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, pairs), len(known) - 1)] == pairs
    return found


def _pack(query: NDArray[np.uint32], group: NDArray[np.uint32]) -> NDArray[np.uint64]:
    packed: NDArray[np.uint64] = (query.astype(np.uint64) << np.uint64(32)) | group
    return packed
