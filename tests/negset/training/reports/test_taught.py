from negset.training.reports.taught import TaughtFigures, describe_taught


def test_those_who_learned_nothing_are_counted_by_what_they_lack():
    found = TaughtFigures(queries=1200, taught=1100, without_positive=70, without_negative=30)
    assert describe_taught(found) == (
        "taught 1,100 of 1,200 queries; the others learned nothing from it: it scored no positive of 70, "
        "no negative of 30"
    )


def test_where_all_learned_nothing_more_is_said():
    found = TaughtFigures(queries=1200, taught=1200, without_positive=0, without_negative=0)
    assert describe_taught(found) == "taught all 1,200 queries"
