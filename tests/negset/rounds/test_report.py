import numpy as np
import pytest

from negset.errors import ArtifactError
from negset.rounds.figures import Behind, MiningFigures, RoundFigures, ScoreFigures, StartFigures
from negset.rounds.report import RoundsReport, read_rounds, read_values, rounds_table, write_rounds, write_values


def figures(number, *, worse=False, scores=None, held_out=0.5):
    return RoundFigures(
        round=number,
        version=f"{number:016}",
        mined_by="" if number == 1 else "m",
        checkpoint="c",
        mining=MiningFigures(
            staleness=None if number == 1 else 0.25,
            overlap=None if number == 1 else 0.5,
            positive_rank=3.5,
            positive_found=1.0,
            negatives=12,
            scores=scores,
        ),
        queries_trained=4,
        steps=8,
        loss_first=0.5,
        loss_last=0.25,
        validation=0.4,
        held_out=held_out,
        behind=Behind(mean=0.03, low=0.01, high=0.05, chance=0.002),
        worse=worse,
    )


def report(*rounds, **changes):
    start = StartFigures(checkpoint="s", validation=0.3, held_out=rounds[0].held_out)
    told = {
        "loop": "l",
        "dataset": "small",
        "strategy": "ance",
        "status": "finished",
        "validation_queries": 81,
        "held_out_queries": 300,
        "depth": 200,
        "best": 1,
        "model": "round-1/model",
        "start": start,
        "rounds": rounds,
    }
    return RoundsReport(**{**told, **changes})


SCORES = ScoreFigures(negative_mean=0.61, negative_deviation=0.1, positive_mean=0.7, above_positive=0.0)


def test_what_is_written_is_read_back(tmp_path):
    told = report(figures(1, scores=SCORES), figures(2, worse=True), status="stopped")
    write_rounds(told, tmp_path)
    assert read_rounds(tmp_path) == told
    (tmp_path / "rounds.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"rounds\.json"):
        read_rounds(tmp_path)


def test_values_of_queries_are_read_back_round_by_round(tmp_path):
    values = [{"validation": np.array([0.5, number]), "held_out": np.empty(0)} for number in range(11)]
    write_values(values, tmp_path)
    found = read_values(tmp_path)
    assert [roles["validation"].tolist() for roles in found] == [roles["validation"].tolist() for roles in values]
    assert len(found[0]["held_out"]) == 0


def test_the_table_has_a_line_for_the_start_and_each_round():
    lines = rounds_table(report(figures(1, scores=SCORES), figures(2, held_out=None))).splitlines()
    assert lines[0].split() == [
        *("round", "version", "stale", "overlap", "pos.rank", "neg.score", "loss", "validation", "held", "out")
    ]
    assert lines[1].split() == ["start", "0.3000", "0.5000"]
    assert lines[2].split() == ["1", f"{1:016}", "-", "-", "3.50", "0.6100", "0.2500", "0.4000", "0.5000"]
    assert lines[3].split() == ["2", f"{2:016}", "0.2500", "0.5000", "3.50", "-", "0.2500", "0.4000", "-"]
    assert lines[4] == "finished; kept: round 1, the best on 81 validation queries"


def test_a_loop_that_stopped_says_why_and_what_is_kept():
    told = rounds_table(report(figures(1), figures(2, worse=True), status="stopped")).splitlines()[-1]
    assert "round 2 made nDCG@10 on 81 validation queries worse by 0.0300 (0.0100 to 0.0500, p = 0.0020)" in told
    assert told.endswith("kept: round 1")
    assert rounds_table(report(figures(1), best=0)).endswith("kept: the start, the best on 81 validation queries")
