import numpy as np

from negset.publishing.charts import Series, histogram


def test_bars_are_shares_of_their_own_series():
    """Three of four values in the first bin: as high as the whole of the other series's one bin times 3/4."""
    drawn = histogram(
        "T", [Series("a", "x", np.array([0.0, 0.0, 0.0, 1.0])), Series("b", "y", np.array([1.0]))], bins=2
    )
    heights = [float(part.split('"')[0]) for part in drawn.split(' height="')[1:]]
    assert [height / max(heights) for height in heights] == [0.75, 0.25, 1.0]
    assert "a · 4" in drawn
    assert "b · 1" in drawn


def test_equal_values_and_no_values_can_be_drawn():
    assert "<rect" in histogram("T", [Series("a", "x", np.full(3, 0.5)), Series("b", "y", np.array([]))])
    assert "No scores" in histogram("T", [Series("a", "x", np.array([]))])
