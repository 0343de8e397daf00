"""Other people's trainers take a set as it is: no negset code on their side."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.build import build
from negset.configuration import load_build_config

_TRAIN = """
import sys, warnings
warnings.simplefilter("ignore")
from datasets import load_dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.losses import MultipleNegativesRankingLoss
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
version, folder = sys.argv[1:]
data = load_dataset(version, "ntuples", split="train", cache_dir=folder + "/cache")
words = sorted({word for row in data for text in row.values() for word in text.split()})
tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(["?", *words])}, unk_token="?"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
arguments = SentenceTransformerTrainingArguments(
    output_dir=folder, max_steps=1, per_device_train_batch_size=4, report_to=[], use_cpu=True
)
loss = MultipleNegativesRankingLoss(model)
SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss).train()
print("columns", *data.column_names)
"""


@pytest.mark.flow
def test_sentence_transformers_trains_on_a_published_set(prefect_server, home, build_file, tmp_path, monkeypatch):
    monkeypatch.setenv("NEGSET_LINEAGE", str(tmp_path / "events.jsonl"))
    version = Path(build(load_build_config(build_file, ["publish.contract=true"])).path)
    assert (version / "contract.odcs.yaml").is_file()
    assert f'"datasetVersion": "{version.name}"' in (tmp_path / "events.jsonl").read_text()
    run = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(version), str(tmp_path / "trained")],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.splitlines()[-1] == "columns query positive negative_1 negative_2 negative_3"
