import numpy as np
import pytest
import torch

from negset.errors import ConfigError
from negset.training.batches import Planned, collate_batch
from negset.training.binding import bind, loss_inputs
from negset.training.examples import build_examples
from negset.training.losses.exact_softmax import exact_softmax
from negset.training.losses.info_nce import InfoNceParams
from negset.training.model import open_model
from negset.training.objective import Moment
from schemas.train import TrainConfig


@pytest.fixture
def examples(planted):
    tables = planted.tables()
    held_out = planted.queries().filter(planted.queries()["split"] == "test").get_column("text")
    return build_examples(tables, planted.qrels().select("query_id", "doc_id"), held_out, split="train")


def test_every_document_of_the_run_is_a_candidate_but_known_positives(examples):
    batch = collate_batch(examples, Planned(np.array([3, 0, 7]), in_batch=True), seed=1, epoch=0, every_document=True)
    assert batch.candidates_C.tolist() == list(range(len(examples.document_ids)))
    masked = batch.masked_BC
    for place, query in enumerate([3, 0, 7]):
        known = set(examples.known.take(np.array([query]))[1].tolist())
        assert batch.target_B[place] in known
        assert set(np.flatnonzero(masked[place]).tolist()) == known - {int(batch.target_B[place])}
    own = batch.cells.own_BC().numpy()
    assert np.flatnonzero(own[1]).tolist() == sorted(examples.negatives.take(np.array([0]))[1].tolist())


def test_a_query_has_the_same_loss_whoever_shares_its_batch(planted, examples):
    """Over the batch's candidates alone, as with other losses, it would not."""
    config = TrainConfig(loss="exact_softmax", candidates="all", dimensions=16)
    model = open_model(config, planted.start())
    binding = bind(model, examples, config)
    losses = []
    for rows in ([3], [0, 3, 7, 9]):
        batch = collate_batch(examples, Planned(np.array(rows), in_batch=True), 1, 0, every_document=True)
        vectors = binding.embed_query(batch.queries_B), binding.embed_document(batch.candidates_C)
        inputs = loss_inputs(binding, batch, *vectors, Moment(1, 0, 1, 0, 1))
        losses.append(exact_softmax(inputs, InfoNceParams())[rows.index(3)].item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    queries = model.bind(examples.query_texts, "query")(np.array([3]))
    documents = model.bind(examples.document_texts, "document")(np.arange(len(examples.document_ids)))
    logits = (queries @ documents.T)[0] / config.temperature
    known = examples.known.take(np.array([3]))[1].tolist()
    alone = collate_batch(examples, Planned(np.array([3]), in_batch=True), 1, 0, every_document=True)
    target = int(alone.target_B[0])
    kept = [one for one in range(len(logits)) if one == target or one not in known]
    assert losses[0] == pytest.approx(float((torch.logsumexp(logits[kept], 0) - logits[target]).detach()), abs=1e-5)


def test_it_is_refused_where_candidates_are_the_batchs(planted, examples):
    config = TrainConfig(loss="exact_softmax", dimensions=16)
    with pytest.raises(ConfigError, match=r"train\.candidates = 'all'"):
        bind(open_model(config, planted.start()), examples, config)


def test_all_documents_without_in_batch_negatives_are_a_contradiction():
    with pytest.raises(ValueError, match="in_batch"):
        TrainConfig(candidates="all", in_batch=False)


def test_the_formula_is_that_of_infonce(loss_inputs):
    scores = torch.tensor([[2.0], [1.0], [0.0]])
    loss = exact_softmax(loss_inputs(torch.ones(1, 1), scores), InfoNceParams())
    assert loss.item() == pytest.approx(0.407606, abs=1e-5)
