"""What ablate and transfer say in words: what holds, and that nothing does."""

from flows.commands.ablate import explain as explain_ablation
from flows.commands.ablate import row_cells
from flows.commands.transfer import explain as explain_transfer
from flows.commands.transfer import transfer_cell
from negset.probing.ablation import AblationReport, CompositionRow
from negset.probing.bootstrap import Difference, Interval
from negset.transfer.matrix import Transfer, TransferMatrix
from negset.transfer.report import TransferReport


def difference(mean, half=0.01, adjusted=0.01):
    return Difference(Interval(mean, mean - half, mean + half), adjusted, adjusted)


def ablation(use, *below):
    rows = (CompositionRow("only-hard", 0.5, 0.01, None), *below)
    return AblationReport(rows, use, 40, 10, 3)


def test_an_ablation_names_what_to_use_or_what_cannot_be_told_apart():
    clear = CompositionRow("random", 0.4, 0.01, difference(0.1))
    alike = CompositionRow("mixed", 0.49, 0.01, difference(0.001, adjusted=0.9))
    assert explain_ablation(ablation("only-hard", clear))[-1].startswith("use only-hard:")
    said = explain_ablation(ablation(None, alike, clear))[-1]
    assert said == "no difference: only-hard came out first, but cannot be told from mixed"
    assert row_cells(clear)[3:] == ["+0.1000", "+0.0900 to +0.1100", "real"]
    assert row_cells(alike)[-1] == ""


def test_transfer_names_harm_and_help_that_hold():
    cells = (
        Transfer("a", "b", difference(-0.05)),
        Transfer("b", "a", difference(0.05)),
        Transfer("c", "a", difference(-0.05, adjusted=0.2)),
        Transfer("c", "b", difference(0.001)),
    )
    matrix = TransferMatrix({"a": 0.5, "b": 0.5}, cells, {"a": -0.05, "b": 0.05})
    said = explain_transfer(TransferReport("test", 200, 3, (), {"d": "too small"}, matrix, ()))
    assert said[1:] == ["a harms b", "b helps a", "left out: d: too small"]
    assert [transfer_cell(cell)[:2] for cell in cells] == ["- ", "+ ", "- ", "0 "]
    assert transfer_cell(cells[0]) == "- -0.0500* (-0.060 to -0.040)"
    many = TransferReport("test", 200, 3, (), {f"g{place:02}": "too small" for place in range(25)}, matrix, ())
    assert explain_transfer(many)[-2:] == ["left out: g09: too small", "left out: 15 more groups"]
    none = TransferMatrix({}, cells[2:], {})
    assert "no transfer" in explain_transfer(TransferReport("test", 200, 3, (), {}, none, ()))[-1]
