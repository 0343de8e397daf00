"""`negset merge`: what it refuses, and what it says of a merge."""

import numpy as np
import pytest

from flows.cli import main


@pytest.fixture
def models(tmp_path):
    from negset.training.model import StaticStart, open_model
    from schemas.train import TrainConfig

    folders = []
    for name in ("base", "one", "other"):
        embeddings = np.random.default_rng(len(folders)).normal(size=(4, 8)).astype(np.float32)
        open_model(TrainConfig(), StaticStart(["red", "green", "blue", "grey"], embeddings)).save(tmp_path / name)
        folders.append(str(tmp_path / name))
    return folders


def test_weights_are_shares_of_the_models(models, tmp_path, capsys):
    from safetensors.torch import load_file

    out = tmp_path / "merged"
    assert main(["merge", *models, "--weights", "1,3", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"0.250  {models[1]}\n0.750  {models[2]}\nscale 1.000" in said
    file = "0_StaticEmbedding/model.safetensors"
    one, other, merged = (load_file(f"{folder}/{file}")["embedding.weight"] for folder in (*models[1:], out))
    assert merged.numpy() == pytest.approx((one / 4 + other * 3 / 4).numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weights", "1,x"], "no list of numbers"),
        (["--weights", "1"], "1 weights for 2 models"),
        (["--weights", "1,1", "--steps", "5"], "--steps does nothing with --weights"),
        (["--learn", "nowhere", "--scale", "2"], "--scale does nothing with --learn"),
        (["--learn", "nowhere", "--queries", "0"], "--queries is 0"),
        (["--learn", "nowhere"], "nowhere holds no negative set"),
    ],
)
def test_what_makes_no_sense_is_refused(models, tmp_path, capsys, options, says):
    assert main(["merge", *models, *options, "--out", str(tmp_path / "merged")]) in (2, 4)
    assert says in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_a_folder_that_is_there_is_not_overwritten(models, capsys):
    assert main(["merge", *models, "--weights", "1,1", "--out", models[0]]) == 2
    assert "exists: name a new folder" in capsys.readouterr().err


def test_weights_or_a_set_must_be_given(models, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["merge", *models, "--out", str(tmp_path / "merged")])
    assert ended.value.code == 2
