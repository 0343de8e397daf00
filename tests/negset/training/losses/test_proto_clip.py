from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import cross_entropy, normalize

from negset.errors import NegsetError
from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.losses.proto_clip import ProtoClipParams, prepare, proto_clip, soft_targets
from negset.training.objective import EpochInputs, Moment

MOMENT = Moment(seed=11, epoch=2, epochs=5, step=20, steps=50)
TOPICS, EACH, WIDTH = 10, 12, 32


def drawn(rows: int, seed: int, width: int = WIDTH) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def topics(noise: float = 0.08, each: int = EACH) -> tuple[torch.Tensor, torch.Tensor]:
    """Give documents about planted topics, and the topic of each."""
    centres = normalize(drawn(TOPICS, 1))
    topic = torch.arange(TOPICS).repeat(each)
    return normalize(centres[topic] + noise * drawn(TOPICS * each, 2)), topic


def epoch_inputs(queries, documents, positive=None) -> EpochInputs:
    return EpochInputs(
        query_vectors=lambda: queries,
        document_vectors=lambda: documents,
        positive_row_Q=torch.arange(len(queries)) if positive is None else positive,
        query_key_Q=torch.arange(len(queries)),
        moment=MOMENT,
    )


def batch(loss_inputs, queries, documents, episode, rows=(0, 1, 2, 3), **others):
    chosen = torch.tensor(rows)
    return loss_inputs(
        queries[chosen].double(),
        documents.double(),
        target=chosen,
        query_row_B=chosen,
        episode=episode,
        temperature=0.1,
        **others,
    )


@pytest.fixture(scope="module")
def world():
    documents, topic = topics()
    queries = normalize(documents + 0.1 * drawn(len(documents), 3))
    return queries, documents, topic


@pytest.fixture(scope="module")
def episode(world):
    queries, documents, _topic = world
    return prepare(epoch_inputs(queries, documents), ProtoClipParams(clusters=TOPICS))


def test_planted_topics_are_found_on_both_sides(world, episode):
    """With a single attempt k-means leaves two topics under one centroid."""
    _queries, _documents, topic = world
    for side in ("query", "document"):
        assert adjusted_rand_score(topic, episode[f"{side}_prototype"]) == 1.0
        assert episode[f"{side}_centroids"].shape == (TOPICS, WIDTH)


def test_documents_of_a_prototype_are_the_planted_paraphrases(world, episode):
    _queries, _documents, topic = world
    labels = episode["document_prototype"]
    same, planted = labels[:, None] == labels, topic[:, None] == topic
    assert (same & planted).sum() / planted.sum() >= 0.9


def test_a_gap_between_both_sides_does_not_matter_to_students(world):
    """Queries are documents moved by an offset: the teacher's own centroids lie elsewhere, the students' do not."""
    _queries, documents, _topic = world
    offset = 2 * normalize(drawn(1, 9))
    queries = normalize(documents + offset)
    episode = prepare(epoch_inputs(queries, documents), ProtoClipParams(clusters=TOPICS))
    labels = episode["document_prototype"]
    for prototype in range(TOPICS):
        own = normalize(queries[labels == prototype].mean(dim=0), dim=0)
        assert float(own @ episode["query_students"][prototype]) == pytest.approx(1, abs=1e-5)
        assert float(own @ episode["document_centroids"][prototype]) < 0.8


def test_towards_zero_temperature_the_target_is_the_own_prototype():
    centroids = normalize(drawn(6, 4)).double()
    prototype, there = torch.tensor([2, 5]), torch.ones(2, 6, dtype=torch.bool)
    hard = soft_targets(centroids, prototype, there, 1e-4)
    assert torch.allclose(hard, torch.nn.functional.one_hot(prototype, 6).double())
    soft = soft_targets(centroids, prototype, there, 0.5)
    assert torch.allclose(soft, torch.softmax(centroids[prototype] @ centroids.T / 0.5, dim=1))
    assert soft.max() < 0.9


def test_the_loss_with_hard_targets_is_infonce_and_two_cross_entropies(loss_inputs, world, episode):
    queries, documents, _topic = world
    params = ProtoClipParams(clusters=TOPICS, teacher_temperature=1e-4, weight=0.7)
    inputs = batch(loss_inputs, queries, documents, episode)
    rows = torch.arange(4)
    of_document = queries[:4].double() @ episode["query_students"].double().T / 0.1
    of_query = documents[:4].double() @ episode["document_students"].double().T / 0.1
    expected = info_nce(inputs, InfoNceParams()) + 0.7 * 0.5 * (
        cross_entropy(of_document, episode["document_prototype"][rows], reduction="none")
        + cross_entropy(of_query, episode["query_prototype"][rows], reduction="none")
    )
    assert torch.allclose(proto_clip(inputs, params), expected, atol=1e-6)


def test_a_prototype_without_a_centroid_takes_no_part(loss_inputs, world):
    """A centroid of zeros in the softmax would have a share: exp(0)."""
    queries, documents, topic = world
    kept = (topic != 4).nonzero().flatten()
    params = ProtoClipParams(clusters=TOPICS, teacher_temperature=1e-4)
    episode = prepare(epoch_inputs(queries[kept], documents, positive=kept), params)
    absent = (~episode["query_students"].any(dim=1)).nonzero().flatten().tolist()
    assert absent == [int(episode["document_prototype"][topic == 4][0])]
    inputs = batch(loss_inputs, queries[kept], documents, episode, rows=(0,))
    students = episode["query_students"].double()
    there = students.any(dim=1)
    logits = (queries[kept][:1].double() @ students[there].T) / 0.1
    place = int(there[: int(episode["document_prototype"][kept[0]])].sum())
    of_document = cross_entropy(logits, torch.tensor([place]), reduction="none")
    back = documents[:1].double() @ episode["document_students"].double().T / 0.1
    of_query = cross_entropy(back, episode["query_prototype"][:1], reduction="none")
    expected = info_nce(inputs, InfoNceParams()) + 0.5 * (of_document + of_query)
    assert torch.allclose(proto_clip(inputs, params), expected, atol=1e-6)
    of_absent = int((topic == 4).nonzero()[0])
    lost = replace(inputs, target_B=torch.tensor([of_absent]))
    assert torch.isfinite(proto_clip(lost, params)).all()


def test_documents_of_the_positives_prototype_can_be_masked(loss_inputs, world, episode):
    queries, documents, topic = world
    params = ProtoClipParams(clusters=TOPICS, mask_same=True)
    moving = documents.double().requires_grad_()
    inputs = replace(batch(loss_inputs, queries, documents, episode, rows=(0,)), candidates_CD=moving)
    proto_clip(inputs, params).sum().backward()
    heard = moving.grad.abs().sum(dim=1) > 0
    assert heard.tolist() == [(row == 0 or int(topic[row]) != int(topic[0])) for row in range(len(topic))]


def test_fewer_dimensions_are_the_main_ones(world):
    """Topics lie in ten of 32 dimensions, noise in all: random ten would lose most of what tells topics apart."""
    queries, documents, topic = world
    episode = prepare(epoch_inputs(queries, documents), ProtoClipParams(clusters=TOPICS, projection=TOPICS))
    assert episode["basis"].shape == (WIDTH, TOPICS)
    assert torch.allclose(episode["basis"].T @ episode["basis"], torch.eye(TOPICS), atol=1e-5)
    kept = torch.linalg.vector_norm(documents @ episode["basis"], dim=1)
    assert float(kept.mean()) > 0.9
    assert adjusted_rand_score(topic, episode["document_prototype"]) == 1.0


def test_the_projection_is_used_by_the_students_too(loss_inputs, world):
    queries, documents, _topic = world
    params = ProtoClipParams(clusters=TOPICS, projection=6)
    inputs = batch(loss_inputs, queries, documents, prepare(epoch_inputs(queries, documents), params))
    moved = inputs.queries_BD.clone().requires_grad_()
    (
        proto_clip(replace(inputs, queries_BD=moved), params)
        - info_nce(replace(inputs, queries_BD=moved), InfoNceParams())
    ).sum().backward()
    basis = inputs.episode["basis"].double()
    outside = moved.grad - moved.grad @ basis @ basis.T
    assert float(outside.abs().max()) < 1e-5 < float(moved.grad.abs().max())


def test_the_same_vectors_give_the_same_prototypes_and_clusters_default_to_a_tenth(world):
    queries, documents = (one[:30] for one in world[:2])
    there, back = (prepare(epoch_inputs(queries, documents), ProtoClipParams()) for _ in range(2))
    assert all(torch.equal(there[name], back[name]) for name in there)
    assert len(there["document_centroids"]) == 3


def test_what_is_no_episode_is_refused(loss_inputs, world):
    queries, documents, _topic = world
    with pytest.raises(NegsetError, match="NoneType"):
        proto_clip(batch(loss_inputs, queries, documents, None), ProtoClipParams())


def test_few_texts_are_clustered_too():
    episode = prepare(epoch_inputs(normalize(drawn(1, 1)), normalize(drawn(1, 2))), ProtoClipParams())
    assert episode["query_students"].shape == (1, WIDTH)
    assert np.isfinite(episode["document_students"].numpy()).all()
