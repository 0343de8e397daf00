from negset.mining.samplers.window import WindowParams, window

QUERIES = 2000


def test_only_the_hardest_survivors_are_in_the_draw(candidates):
    frame = candidates(
        [0.1, 0.9, 0.8, 0.7, 0.6] * QUERIES,
        query=[query for query in range(QUERIES) for _ in range(5)],
        doc=[0, 1, 2, 3, 4] * QUERIES,
        rejected_by=[None, "margin", None, None, None] * QUERIES,
    )
    drawn = window(frame.lazy(), WindowParams(k=1, size=2)).collect().drop_nulls("position")
    counts = dict(drawn["doc"].value_counts().iter_rows())
    assert sorted(counts) == [2, 3]
    assert abs(counts[2] - QUERIES / 2) < 112  # five sigma
    assert drawn["sample_prob"].unique().to_list() == [0.5]


def test_a_window_wider_than_the_survivors(candidates):
    drawn = window(candidates([0.9, 0.8]).lazy(), WindowParams(k=1, size=10)).collect()
    assert drawn.drop_nulls("position")["sample_prob"].to_list() == [0.5]
