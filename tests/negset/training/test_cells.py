import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.training.cells import Cells, cells_of

NONE = torch.zeros(0, dtype=torch.int64)


def sparse(masked: list[list[int]], *, in_batch: bool) -> Cells:
    matrix = torch.tensor(masked, dtype=torch.bool)
    row, column = (matrix == in_batch).nonzero(as_tuple=True)
    return Cells(*matrix.shape, in_batch, row, column, NONE, NONE, torch.zeros(0))


worlds = st.tuples(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 2**31))


def draw_world(world) -> tuple[torch.Tensor, torch.Tensor, Cells]:
    queries, candidates, in_batch, seed = world
    generator = torch.Generator().manual_seed(seed)
    masked = torch.rand((queries, candidates), generator=generator) < 0.4
    target = torch.randint(candidates, (queries,), generator=generator)
    masked[torch.arange(queries), target] = False
    return masked, target, sparse(masked.tolist(), in_batch=in_batch)


@settings(max_examples=60, deadline=None)
@given(worlds, st.integers(1, 7))
def test_blocks_put_together_are_the_matrix(world, size):
    masked, _, cells = draw_world(world)
    assert cells.masked_BC().tolist() == masked.tolist()
    rows = [
        torch.cat(
            [
                cells.masked_block(slice(i, min(i + size, cells.queries)), slice(j, min(j + size, cells.candidates)))
                for j in range(0, cells.candidates, size)
            ],
            1,
        )
        for i in range(0, cells.queries, size)
    ]
    assert torch.cat(rows).tolist() == masked.tolist()
    assert cells.counted_B().tolist() == (~masked).sum(1).tolist()


@settings(max_examples=100, deadline=None)
@given(worlds)
def test_the_other_direction_is_what_a_double_loop_says(world):
    masked, target, cells = draw_world(world)
    back = cells.reversed(target).masked_BC()
    for document in range(cells.queries):
        for query in range(cells.queries):
            own_too = query != document and target[query] == target[document]
            assert back[document, query] == bool(masked[query, target[document]] or own_too)


def test_a_query_with_the_same_positive_is_no_negative_of_it():
    """The transposed matrix alone would charge the first positive with the second query."""
    cells = sparse([[0, 0], [0, 0], [0, 0]], in_batch=True)
    assert cells.reversed(torch.tensor([0, 0, 1])).masked_BC().tolist() == [
        [False, True, False],
        [True, False, False],
        [False, False, False],
    ]


def test_matrices_survive_being_taken_apart():
    masked = torch.tensor([[0, 1, 0], [1, 0, 0]], dtype=torch.bool)
    own = torch.tensor([[0, 0, 1], [1, 0, 0]], dtype=torch.bool)
    weights = torch.tensor([[1, 1, 0.25], [3, 1, 1]])
    cells = cells_of(masked, own, weights)
    assert cells.masked_BC().tolist() == masked.tolist()
    assert cells.own_BC().tolist() == own.tolist()
    assert cells.weight_BC().tolist() == weights.tolist()
    moved = cells.to(torch.device("cpu"))
    assert moved.masked_BC().tolist() == masked.tolist()
