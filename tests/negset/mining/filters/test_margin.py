import pytest
from pydantic import ValidationError

from negset.mining.filters.margin import MarginParams, margin


def reasons(frame, **options):
    return margin(frame.lazy(), MarginParams(**options)).collect()["rejected_by"].to_list()


def test_within_the_margin_goes_equality_stays(candidates):
    frame = candidates([0.9, 0.76, 0.75, 0.2], positive_score_dense=0.8)
    assert reasons(frame, margin=0.05) == ["margin", "margin", None, None]


def test_the_ceiling_is_written_down(candidates):
    judged = margin(candidates([0.9], positive_score_dense=0.75).lazy(), MarginParams(margin=0.25)).collect()
    assert judged.select("rejected_value", "rejected_threshold").row(0) == (0.9, 0.5)


def test_negative_positive_score(candidates):
    assert reasons(candidates([-0.49, -0.54, -0.56], positive_score_dense=-0.5)) == ["margin", "margin", None]


def test_a_missing_score_on_either_side_goes(candidates):
    frame = candidates([None, 0.1], positive_score_dense=[0.8, None])
    assert reasons(frame) == ["margin", "margin"]


def test_a_negative_margin_is_refused():
    with pytest.raises(ValidationError):
        MarginParams(margin=-0.1)
