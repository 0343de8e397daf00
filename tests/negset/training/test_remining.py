import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ArtifactError
from negset.training.examples import Examples, Groups, build_examples
from negset.training.loop import clear_run, train_encoder
from negset.training.model import open_model
from negset.training.remining import (
    Remining,
    clear_negatives,
    epoch_supply,
    kept_negatives,
    mine_again,
    remining_of,
    with_negatives,
)
from schemas.train import TrainConfig


def groups(*members) -> Groups:
    sizes = [len(one) for one in members]
    flat = [row for one in members for row in one]
    return Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), np.array(flat, dtype=np.int64))


def listed(found: Groups) -> list[list[int]]:
    return [found.rows[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]


def examples_of(positives, negatives, known=None, documents=6) -> Examples:
    return Examples(
        query_ids=[f"q{row}" for row in range(len(positives))],
        query_texts=["" for _ in positives],
        document_ids=[f"d{row}" for row in range(documents)],
        document_texts=["" for _ in range(documents)],
        positives=groups(*positives),
        negatives=groups(*negatives),
        negative_weights=np.full(sum(map(len, negatives)), 0.5, dtype=np.float32),
        known=groups(*(known or positives)),
        left_out={},
    )


def circle(degrees) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


DOCUMENTS = circle([0, 10, 20, 30, 40, 50])


def test_the_hardest_come_first_and_known_positives_never():
    examples = examples_of([[0]], [[5]], known=[[0, 2]])
    found = mine_again(circle([5]), DOCUMENTS, examples, Remining(depth=5, count=3))
    assert listed(found) == [[1, 3, 4]]


def test_known_positives_take_no_ranks():
    """A depth that counted the query's own positives would leave one negative here."""
    examples = examples_of([[0, 1, 2]], [[5]])
    found = mine_again(circle([0]), DOCUMENTS, examples, Remining(depth=2, count=9))
    assert listed(found) == [[3, 4]]


def test_what_scores_too_near_the_lowest_positive_is_left_out():
    examples = examples_of([[0, 3]], [[5]])
    lowest = np.cos(np.radians(30))
    found = mine_again(circle([0]), DOCUMENTS, examples, Remining(depth=6, count=6, share=0.95))
    assert listed(found) == [[row for row in (1, 2, 4, 5) if np.cos(np.radians(10 * row)) <= 0.95 * lowest]]
    assert listed(found) == [[4, 5]]


def test_a_limit_below_a_negative_positive_lies_below_it():
    examples = examples_of([[0]], [[5]])
    found = mine_again(circle([120]), DOCUMENTS, examples, Remining(depth=6, count=6, share=0.9))
    assert listed(found) == [[]]


def test_too_few_documents_are_not_filled_up():
    examples = examples_of([[0], [1]], [[5], [5]], known=[[0, 1, 2, 3], [1]])
    assert listed(mine_again(circle([0, 10]), DOCUMENTS, examples, Remining(depth=9, count=3))) == [[4, 5], [0, 2, 3]]


def test_ties_go_to_the_smaller_row():
    examples = examples_of([[5]], [[0]])
    same = np.repeat(circle([0]), 6, axis=0)
    assert listed(mine_again(circle([0]), same, examples, Remining(depth=3, count=2))) == [[0, 1]]


@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 5))
def test_a_query_alone_gets_what_it_gets_among_others(seed, depth, count):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(9, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    positives = [[int(draw.integers(6))] for _ in range(3)]
    options = Remining(depth, count, share=0.9)
    together = mine_again(vectors[6:], vectors[:6], examples_of(positives, [[0]] * 3), options)
    for row in range(3):
        alone = mine_again(
            vectors[6 + row : 7 + row], vectors[:6], examples_of(positives[row : row + 1], [[0]]), options
        )
        assert listed(alone)[0] == listed(together)[row]


def test_a_document_that_moved_next_to_a_query_is_found_anew():
    """ANCE's test: the new negatives hold it, those from before do not."""
    examples = examples_of([[0]], [[1]])
    moved = DOCUMENTS.copy()
    moved[5] = circle([1])[0]
    before, after = (mine_again(circle([0]), vectors, examples, Remining(9, 2)) for vectors in (DOCUMENTS, moved))
    assert (listed(before), listed(after)) == ([[1, 2]], [[5, 1]])


def test_a_query_gets_as_many_as_the_config_or_the_set_says():
    examples = examples_of([[0], [1]], [[2, 3, 4], [5]])
    assert remining_of(TrainConfig(remine="epoch"), examples) == Remining(100, 3, 0.0)
    asked = TrainConfig(remine="epoch", negatives=2, remine_depth=30, remine_share=0.95)
    assert remining_of(asked, examples) == Remining(30, 2, 0.95)


def test_weights_of_the_set_do_not_pass_to_other_negatives():
    found = with_negatives(examples_of([[0]], [[2]]), groups([3, 4]))
    assert found.negative_weights.tolist() == [1.0, 1.0]
    assert listed(found.negatives) == [[3, 4]]


def test_a_resumed_epoch_reads_what_it_began_with(tmp_path):
    kept_negatives(tmp_path, "a" * 64, 0, lambda: groups([1], [2, 3]))
    again = kept_negatives(tmp_path, "a" * 64, 0, lambda: pytest.fail("mined a second time"))
    assert listed(again) == [[1], [2, 3]]


def test_another_run_or_epoch_mines_anew(tmp_path):
    kept_negatives(tmp_path, "a" * 64, 0, lambda: groups([1]))
    assert listed(kept_negatives(tmp_path, "b" * 64, 0, lambda: groups([2]))) == [[2]]
    assert listed(kept_negatives(tmp_path, "a" * 64, 1, lambda: groups([3]))) == [[3]]
    assert len(list(tmp_path.iterdir())) == 3  # the newest checkpoint may be damaged: the one before it needs its own
    clear_negatives(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path):
    kept_negatives(tmp_path, "a" * 64, 0, lambda: groups([1]))
    next(tmp_path.iterdir()).write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"remined-a+-0\.npz"):
        kept_negatives(tmp_path, "a" * 64, 0, lambda: groups([1]))


def test_dynamic_negatives_are_found_by_the_model_as_it_is(planted, tmp_path):
    """The negatives of the second epoch are those of the trained model, not those of the start."""
    examples, model, settings = _planted_run(planted)
    seen = []
    supply = epoch_supply(model, examples, settings, tmp_path, "f" * 64)
    for epoch in (0, 1):
        expected = mine_again(
            model.encode(examples.query_texts, "query"),
            model.encode(examples.document_texts, "document"),
            examples,
            remining_of(settings, examples),
        )
        found = supply(epoch, None).negatives
        assert listed(found) == listed(expected)
        seen.append(listed(found))
        with torch.no_grad():
            model.module.embedding.copy_(model.module.embedding.flip(1) * torch.linspace(-1, 1, 16))
        assert listed(supply(epoch, None).negatives) == seen[-1]
    assert seen[0] != seen[1]


@pytest.mark.parametrize("stopped_after", [1, 3, 4, 6])
def test_a_run_with_dynamic_negatives_resumes_within_an_epoch(planted, tmp_path, stopped_after):
    examples, _, settings = _planted_run(planted)
    whole = train_encoder(open_model(settings, planted.start()), examples, settings, tmp_path / "whole")

    def stop(step, done, total):
        if step == "train" and done == stopped_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(open_model(settings, planted.start()), examples, settings, tmp_path / "cut", stop)
    resumed = train_encoder(open_model(settings, planted.start()), examples, settings, tmp_path / "cut")
    assert resumed.losses == whole.losses
    weights = [tmp_path / name / "model" / "0_StaticEmbedding" / "model.safetensors" for name in ("whole", "cut")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    clear_run(tmp_path / "cut")
    assert not list((tmp_path / "cut").glob("remined-*"))


def test_a_run_does_not_go_on_without_the_negatives_that_its_epoch_began_with(planted, tmp_path):
    examples, _, settings = _planted_run(planted)

    def stop(step, done, total):
        if step == "train" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(open_model(settings, planted.start()), examples, settings, tmp_path, stop)
    for path in tmp_path.glob("remined-*"):
        path.unlink()
    with pytest.raises(ArtifactError, match=r"remined-.* is gone"):
        train_encoder(
            open_model(settings, planted.start()),
            examples,
            settings.model_copy(update={"keep_checkpoints": 1}),
            tmp_path,
        )


def test_static_and_dynamic_negatives_train_another_model(planted, tmp_path):
    examples, _, settings = _planted_run(planted)
    losses = [
        train_encoder(open_model(one, planted.start()), examples, one, tmp_path / str(number)).losses
        for number, one in enumerate((settings, settings.model_copy(update={"remine": ""})))
    ]
    assert losses[0] != losses[1]


def _planted_run(planted):
    known = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
    examples = build_examples(planted.tables(), known, pl.Series([], dtype=pl.String), split="train")
    settings = TrainConfig(batch_size=12, epochs=4, remine="epoch", remine_depth=20, device="cpu", checkpoint_every=1)
    return examples, open_model(settings, planted.start()), settings
