"""The commands of docs/handoff.md do what the page says, the first part of them without negset."""

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from string import Template

import pytest

from flows.cli import main
from negset.publishing.publish import publish_set

PAGE = Path(__file__).parents[3] / "docs" / "handoff.md"
_ALONE = """
import os, sys, warnings
warnings.simplefilter("ignore")
for name in ("negset", "schemas", "tasks", "flows"):
    sys.modules[name] = None  # importing it is an error
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
tokenizer = Tokenizer(models.WordLevel({"?": 0, "colour": 1, "red": 2, "what": 3}, unk_token="?"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
small = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
small.save_pretrained(os.environ["MODEL"])
for number, block in enumerate(sys.stdin.read().split("\\0")):
    exec(compile(block, f"block {number}", "exec"), {"__name__": f"block{number}"})
    print("done", number)
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_a_reader_without_negset_reads_and_trains(published, tmp_path):
    own = {"HOME": tmp_path, "HF_HOME": tmp_path / "hub", "MODEL": tmp_path / "model", "OUT": tmp_path / "out"}
    env = {
        **os.environ,
        **{name: str(path) for name, path in own.items()},
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    env.pop("PYTHONPATH", None)
    code = blocks("python")
    run = subprocess.run(
        [sys.executable, "-c", _ALONE],
        input="\0".join(code),
        cwd=published,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    said = run.stdout
    assert [line for line in said.splitlines() if line.startswith("done")] == [f"done {at}" for at in range(len(code))]
    assert len(code) == 7
    assert "5 pairs that are no negatives in a batch" in said
    assert "['query', 'positive', 'negative_1', 'negative_2'] 7" in said
    assert list((tmp_path / "out").rglob("*")), "nothing was trained"


def _checked(version):
    """Run the page's checks as a reader would, and give those that fail, by number."""
    lines = blocks("sh")[0].splitlines()
    runs = [subprocess.run(["bash", "-c", line], cwd=version, capture_output=True, check=False) for line in lines]
    assert len(lines) == 3
    assert all(not run.stdout for run in runs if run.returncode == 0)
    return [number for number, run in enumerate(runs, start=1) if run.returncode]


@pytest.mark.parametrize(
    ("damage", "failing"),
    [
        (lambda version: None, []),
        (lambda version: (version / "README.md").write_text("other"), [1]),
        (lambda version: (version / "data" / "queries" / "more.parquet").write_bytes(b""), [3]),
        (lambda version: (version / "report.html").unlink(), [1, 3]),
        (
            lambda version: (version / "manifest.json").write_bytes((version / "manifest.json").read_bytes() + b" "),
            [1, 2],
        ),
    ],
)
def test_the_checks_find_what_the_page_says(published, damage, failing):
    damage(published)
    assert _checked(published) == failing


def test_the_commands_of_negset_run_in_their_order(published, tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEGSET_HOME", str(tmp_path))
    for name in ("NEGSET_STORE", "NEGSET_SETS", "NEGSET_RUNS"):
        monkeypatch.delenv(name, raising=False)
    draft = tiny_set.draft_of(tiny_set.stage(tmp_path / "later"), licence="cc0-1.0")
    later = publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 3, tzinfo=UTC))
    names = {"SET": str(published.parents[1]), "QUERY": "q1", "DOC": "d07", "OLD": published.name}
    lines = Template(blocks("sh")[1]).substitute(names).splitlines()
    said = []
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "negset"
        assert main(words[1:]) == 0, line
        said.append(capsys.readouterr().out)
    assert len(lines) == 9
    assert "is whole" in said[0]
    assert "rejected  the rule percent_of_positive rejected it: 0.87 against 0.855" in said[3]
    assert "patch  the rows are the same" in said[6]
    assert f"back from {later.fingerprint} to {published.name}" in said[7]


def test_every_command_that_the_page_explains_is_one():
    explained = re.findall(r"^- \*\*`(\w+)`\*\*", PAGE.read_text(), re.MULTILINE)
    from flows.cli import _COMMANDS

    assert set(explained) == {"explain", "diff", "rollback", "tag", "gc"}
    assert set(explained) <= set(_COMMANDS)
