import pytest
from pydantic import ValidationError

from schemas.manifest import CandidateFunnel, SetFacts, SetManifest

VOLATILE = {"time", "published_at", "host", "run_id", "parent", "path", "partitions", "user"}


def test_a_manifest_has_no_field_for_anything_volatile():
    assert not VOLATILE & set(SetManifest.model_fields)
    assert set(SetFacts.model_fields) < set(SetManifest.model_fields)


def test_records_are_frozen_and_refuse_what_they_do_not_know():
    funnel = CandidateFunnel(mined=1, positives=0, rejected={}, not_sampled=0, chosen=1)
    with pytest.raises(ValidationError, match="frozen"):
        funnel.mined = 2
    with pytest.raises(ValidationError, match="Extra inputs"):
        CandidateFunnel.model_validate({**funnel.model_dump(), "minded": 3})
