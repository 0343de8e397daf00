import math

import pytest
import torch

from negset.errors import ConfigError
from negset.training.losses.gist import GistParams, gist
from negset.training.losses.info_nce import InfoNceParams, info_nce

ALONE = {"queries": False, "documents": False}
"""The block of queries and candidates alone."""


def unit(rows: int, seed: int, width: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64))


def topics() -> tuple[torch.Tensor, torch.Tensor]:
    """Give guide vectors of 8 queries and their positives: four topics, two paraphrases each.

    The positive of the first lies at .90 of the topic, that of the second at .97, each askew in a direction of its
    own. To the first query of a topic the second's positive is more similar than its own; not the other way round.
    """
    queries, positives = torch.zeros(8, 12, dtype=torch.float64), torch.zeros(8, 12, dtype=torch.float64)
    for topic in range(4):
        for place, cosine in enumerate((0.90, 0.97)):
            queries[2 * topic + place, topic] = 1.0
            positives[2 * topic + place, topic] = cosine
            positives[2 * topic + place, 4 + 2 * topic + place] = math.sqrt(1 - cosine**2)
    return queries, positives


PLANTED = [(2 * topic, 2 * topic + 1) for topic in range(4)]


def masked_cells(inputs, params: GistParams) -> set[tuple[int, int]]:
    """Tell the pairs of query and candidate that have no gradient."""
    documents = inputs.candidates_CD.detach().clone().requires_grad_()
    object.__setattr__(inputs, "candidates_CD", documents)
    losses = gist(inputs, params)
    cells = set()
    for row, loss in enumerate(losses):
        (gradient,) = torch.autograd.grad(loss, documents, retain_graph=True)
        cells |= {(row, column) for column in (gradient.abs().sum(1) == 0).nonzero()[:, 0].tolist()}
    return cells


def planted(loss_inputs, **others):
    guide_queries, guide_documents = topics()
    given = {"guide_BG": guide_queries, "guide_CG": guide_documents, **others}
    return loss_inputs(unit(8, 1), unit(8, 2), **given)


def test_the_guide_masks_what_it_finds_nearer_to_the_query_than_its_positive(loss_inputs):
    """A limit by column, or one from the student, masks other cells; `>=` masks every positive."""
    assert masked_cells(planted(loss_inputs), GistParams(**ALONE)) == set(PLANTED)


def test_what_is_masked_has_exactly_no_gradient_and_the_rest_the_share_of_info_nce(loss_inputs):
    masked = torch.zeros(8, 8, dtype=torch.bool)
    for row, column in PLANTED:
        masked[row, column] = True
    inputs = planted(loss_inputs)
    plain = info_nce(loss_inputs(inputs.queries_BD, inputs.candidates_CD, masked=masked), InfoNceParams())
    assert torch.equal(gist(inputs, GistParams(**ALONE)), plain)


@pytest.mark.parametrize(
    ("margin", "kind", "expected"),
    [
        (0.05, "absolute", set(PLANTED)),
        (0.08, "absolute", {*PLANTED, *((column, row) for row, column in PLANTED)}),
        (0.07, "relative", set(PLANTED)),
        (0.08, "relative", {*PLANTED, *((column, row) for row, column in PLANTED)}),
    ],
)
def test_a_margin_lowers_the_limit(loss_inputs, margin, kind, expected):
    """The second query of a topic has .97 and the first's positive .90: .07 below, or .0722 of it."""
    assert masked_cells(planted(loss_inputs), GistParams(margin=margin, margin_kind=kind, **ALONE)) == expected


def test_a_relative_margin_lowers_the_limit_below_a_negative_positive_too(loss_inputs):
    """Defect D1: pos x (1 - m) lies above a negative similarity. Positive -.50, margin .05: -.49 must go."""
    guide = torch.tensor([[-0.50], [-0.49], [-0.52], [-0.53]], dtype=torch.float64)
    inputs = loss_inputs(unit(1, 1), unit(4, 2), guide_BG=torch.ones(1, 1, dtype=torch.float64), guide_CG=guide)
    assert masked_cells(inputs, GistParams(margin=0.05, margin_kind="relative", **ALONE)) == {(0, 1), (0, 2)}


def test_the_positive_stays_whatever_the_margin(loss_inputs):
    inputs = planted(loss_inputs)
    losses = gist(inputs, GistParams(margin=3.0, **ALONE))
    assert losses.tolist() == [0.0] * 8


def test_a_copy_of_the_positive_is_a_tie_and_counts(loss_inputs):
    guide = torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.60001, 0.79999]], dtype=torch.float32)
    inputs = loss_inputs(unit(1, 1), unit(3, 2), guide_BG=torch.tensor([[1.0, 0.0]]), guide_CG=guide)
    assert masked_cells(inputs, GistParams(**ALONE)) == {(0, 2)}


def test_a_copy_that_rounding_moved_is_a_tie_and_what_is_nearer_by_more_is_masked(loss_inputs):
    """The guide embeds a text and its copy in different batches; the last bits of their cosines differ."""
    guide = torch.tensor([[0.6], [0.6 + 3e-7], [0.6 + 3e-6], [0.6 - 3e-7], [0.1]], dtype=torch.float64)
    inputs = loss_inputs(unit(1, 1), unit(5, 2), guide_BG=torch.ones(1, 1, dtype=torch.float64), guide_CG=guide)
    assert masked_cells(inputs, GistParams(**ALONE)) == {(0, 2)}


def by_hand(inputs, params: GistParams) -> list[float]:
    """Give the losses by loops over all pairs."""
    student_q, student_d, target = inputs.queries_BD, inputs.candidates_CD, inputs.target_B.tolist()
    guide_q, guide_d, masked = inputs.guide_BG, inputs.guide_CG, inputs.masked_BC
    losses = []
    for i, own in enumerate(target):
        limit = float(guide_q[i] @ guide_d[own]) + 1e-6
        logits = [student_q[i] @ student_d[own]]
        for c in range(len(student_d)):
            if c != own and not masked[i, c] and guide_q[i] @ guide_d[c] <= limit:
                logits.append(student_q[i] @ student_d[c])
        for j, other in enumerate(target):
            relevant = bool(masked[i, other]) or other == own
            either = relevant or bool(masked[j, own])
            if params.queries and not either and guide_q[i] @ guide_q[j] <= limit:
                logits.append(student_q[i] @ student_q[j])
            if params.documents and not relevant and guide_d[own] @ guide_d[other] <= limit:
                logits.append(student_d[own] @ student_d[other])
        scaled = torch.stack(logits) / inputs.temperature
        losses.append(float(torch.logsumexp(scaled, 0) - scaled[0]))
    return losses


@pytest.mark.parametrize("queries", [True, False])
@pytest.mark.parametrize("documents", [True, False])
def test_all_blocks_are_what_loops_say(loss_inputs, queries, documents):
    """Queries 0 and 4 share a positive; document 1 is known to be relevant to query 2 as well."""
    generator = torch.Generator().manual_seed(5)
    masked = torch.rand((5, 9), generator=generator) < 0.1
    target = torch.tensor([0, 1, 2, 3, 0])
    masked[2, 1] = True
    masked[torch.arange(5), target] = False
    inputs = loss_inputs(
        unit(5, 1, 4),
        unit(9, 2, 4),
        target=target,
        masked=masked,
        guide_BG=unit(5, 3, 4),
        guide_CG=unit(9, 4, 4),
        temperature=0.3,
    )
    params = GistParams(queries=queries, documents=documents)
    assert gist(inputs, params).tolist() == pytest.approx(by_hand(inputs, params))


def test_a_query_never_meets_itself_though_its_positive_is_its_copy(loss_inputs):
    """With a guide similarity of 1 for the pair, a strict limit of 1 would let the diagonals in."""
    same = unit(3, 3)
    inputs = loss_inputs(unit(3, 1), unit(3, 2), guide_BG=same, guide_CG=same)
    params = GistParams()
    assert gist(inputs, params).tolist() == pytest.approx(by_hand(inputs, params))
    lone = loss_inputs(unit(1, 1), unit(1, 2), guide_BG=same[:1], guide_CG=same[:1])
    assert gist(lone, params).tolist() == [0.0]


def test_without_in_batch_negatives_queries_and_positives_do_not_meet_either(loss_inputs):
    masked = ~torch.eye(3, 6, dtype=torch.bool)
    masked[0, 3] = masked[1, 4] = masked[2, 5] = False
    given = {"masked": masked, "guide_BG": unit(3, 3), "guide_CG": unit(6, 4)}
    whole = gist(loss_inputs(unit(3, 1), unit(6, 2), **given), GistParams())
    assert torch.allclose(whole, gist(loss_inputs(unit(3, 1), unit(6, 2), **given), GistParams(**ALONE)))


def test_d14_the_second_of_two_processes_has_its_positives_behind_those_of_the_first(loss_inputs):
    """Defect D14: limits from the diagonal of the gathered matrix are those of the first process's positives."""
    guide_queries, guide_documents = topics()
    whole = gist(planted(loss_inputs), GistParams(**ALONE))
    parts = [
        gist(
            loss_inputs(
                unit(8, 1)[start : start + 4],
                unit(8, 2),
                target=torch.arange(start, start + 4),
                guide_BG=guide_queries[start : start + 4],
                guide_CG=guide_documents,
            ),
            GistParams(**ALONE),
        )
        for start in (0, 4)
    ]
    assert torch.allclose(torch.cat(parts), whole)


def test_without_a_guide_it_says_so(loss_inputs):
    with pytest.raises(ConfigError, match=r"train\.guide"):
        gist(loss_inputs(torch.eye(2), torch.eye(2)), GistParams())


def test_queries_that_share_their_positive_are_no_negatives_of_each_other(loss_inputs):
    """The guide finds the two queries unlike; their labels say that they ask for the same."""
    inputs = loss_inputs(
        unit(2, 1),
        unit(1, 2),
        target=torch.tensor([0, 0]),
        guide_BG=torch.eye(2),
        guide_CG=torch.tensor([[0.5**0.5, 0.5**0.5]]),
    )
    assert gist(inputs, GistParams()).tolist() == [0.0, 0.0]
