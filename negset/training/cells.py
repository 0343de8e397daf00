"""Which candidates of a batch count for which of its queries, kept as the cells that differ from the rest.

At 80,000 queries a matrix of truths is 6.4 GB and one of weights 25.6 GB; the cells that differ are a few for each
query. Losses that need a matrix ask for it, losses that work in blocks ask for blocks.
"""

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Cells:
    """B `queries` and the C `candidates` they share.

    With `in_batch` every candidate counts for every query, but for the cells `row_E`, `column_E`; without, these
    alone count. They are distinct and in the order of row and column; a query's own positive always counts.
    `own_row_H` and `own_column_H` are each query's own hard negatives, `own_weight_H` the weights they have in the set.
    """

    queries: int
    candidates: int
    in_batch: bool
    row_E: torch.Tensor
    column_E: torch.Tensor
    own_row_H: torch.Tensor
    own_column_H: torch.Tensor
    own_weight_H: torch.Tensor

    def masked_BC(self) -> torch.Tensor:  # noqa: N802
        """Give the matrix that is true where a candidate does not count."""
        return self.masked_block(slice(0, self.queries), slice(0, self.candidates))

    def own_BC(self) -> torch.Tensor:  # noqa: N802
        """Give the matrix that is true at a query's own hard negatives."""
        own_BC = torch.zeros((self.queries, self.candidates), dtype=torch.bool, device=self.row_E.device)
        own_BC[self.own_row_H, self.own_column_H] = True
        return own_BC

    def weight_BC(self) -> torch.Tensor:  # noqa: N802
        """Give the weights of the set, 1 where it gives none."""
        shape = (self.queries, self.candidates)
        weight_BC = torch.ones(shape, dtype=self.own_weight_H.dtype, device=self.row_E.device)
        weight_BC[self.own_row_H, self.own_column_H] = self.own_weight_H
        return weight_BC

    def masked_block(self, rows: slice, columns: slice) -> torch.Tensor:
        """Give the part of `masked_BC` in `rows` and `columns`, both with start and stop."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        masked = torch.full(shape, not self.in_batch, dtype=torch.bool, device=self.row_E.device)
        first, last = torch.searchsorted(self.row_E, self.row_E.new_tensor([rows.start, rows.stop])).tolist()
        row, column = self.row_E[first:last], self.column_E[first:last]
        inside = (column >= columns.start) & (column < columns.stop)
        masked[row[inside] - rows.start, column[inside] - columns.start] = self.in_batch
        return masked

    def counted_B(self) -> torch.Tensor:  # noqa: N802
        """Count the candidates that count for each query, its positive among them."""
        exceptions_B = torch.bincount(self.row_E, minlength=self.queries)
        return self.candidates - exceptions_B if self.in_batch else exceptions_B

    def reversed(self, target_B: torch.Tensor) -> "Cells":
        """Give which queries count for each query's positive, (B, B): the other direction of the same judgments.

        Row j is the positive of query j, column i is query i. Query i counts where that document counts for it and
        is not its own positive too. No query is a hard negative of a document.
        """
        sorted_B, query_of = torch.sort(target_B, stable=True)
        j, i = _meet(sorted_B, query_of, self.column_E, self.row_E)
        twin_j, twin_i = _meet(sorted_B, query_of, target_B, torch.arange(len(target_B), device=target_B.device))
        cells, twins = j * self.queries + i, (twin_j * self.queries + twin_i)[twin_j != twin_i]
        if self.in_batch:
            cells = torch.unique(torch.cat([cells, twins]))
        else:
            cells = torch.unique(cells[~torch.isin(cells, twins)])
        none = self.own_row_H[:0]
        row_E, column_E = cells // self.queries, cells % self.queries
        return Cells(
            self.queries, self.queries, self.in_batch, row_E, column_E, none, none, torch.ones(0, device=none.device)
        )

    def to(self, device: torch.device) -> "Cells":
        """Give the same on `device`."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("row_E", "column_E", "own_row_H", "own_column_H", "own_weight_H")
        }
        return replace(self, **moved)


def cells_of(masked_BC: torch.Tensor, own_BC: torch.Tensor, weight_BC: torch.Tensor) -> Cells:
    """Give the cells of three matrices."""
    row_E, column_E = masked_BC.nonzero(as_tuple=True)
    own_row_H, own_column_H = own_BC.nonzero(as_tuple=True)
    queries, candidates = masked_BC.shape
    own_weight_H = weight_BC[own_row_H, own_column_H]
    return Cells(queries, candidates, True, row_E, column_E, own_row_H, own_column_H, own_weight_H)


def _meet(
    sorted_B: torch.Tensor, query_of: torch.Tensor, column_P: torch.Tensor, row_P: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each pair of a query whose positive is a column of `column_P`, and the row beside that column."""
    first_P = torch.searchsorted(sorted_B, column_P)
    counts_P = torch.searchsorted(sorted_B, column_P, right=True) - first_P
    place = torch.repeat_interleave(torch.arange(len(column_P), device=column_P.device), counts_P)
    within = torch.arange(len(place), device=place.device) - (counts_P.cumsum(0) - counts_P)[place]
    return query_of[first_P[place] + within], row_P[place]
