import json
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from negset.errors import ConfigError, InputError
from negset.training.merging import MERGE, Mixture, check_folders, merge_folders, merge_tensor, mixture_of
from negset.training.model import open_model
from schemas.train import TrainConfig


def drawn(seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(seed)) * scale


def test_it_is_the_sum_of_task_vectors():
    base, one, other = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0]), torch.tensor([1.0, 6.0])
    assert merge_tensor(base, [one, other], Mixture((0.25, 0.75), 2.0)).tolist() == [2.0, 8.0]
    assert merge_tensor(base, [one, other], Mixture((0.25, 0.75), 0.0)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("chosen", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_share_of_one_gives_that_model_bit_for_bit(chosen, dtype):
    """A sum of differences would not: beside a start of 1, what a model has below 1e-16 is lost."""
    base = torch.ones(6, 5, dtype=dtype)
    models = [drawn(seed, 1e-20).to(dtype) for seed in range(3)]
    shares = tuple(float(place == chosen) for place in range(3))
    assert torch.equal(merge_tensor(base, models, Mixture(shares)), models[chosen])
    difference = base.double() + (models[chosen].double() - base.double())
    assert not torch.equal(difference.to(dtype), models[chosen])


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=4), st.integers(0, 1000))
def test_a_model_merged_with_itself_is_itself(weights, seed):
    model = drawn(seed) * 10.0 ** (seed % 7 - 3)
    shares = mixture_of(weights).shares
    assert torch.equal(merge_tensor(drawn(1), [model] * len(weights), Mixture(shares)), model)


def test_a_value_that_is_not_finite_stays_where_its_model_has_no_weight():
    broken = torch.full((6, 5), float("nan"))
    assert torch.equal(merge_tensor(broken, [drawn(1), broken], Mixture((1.0, 0.0))), drawn(1))


def test_weights_are_made_to_add_up_to_one():
    assert mixture_of([1, 3], 1.5) == Mixture((0.25, 0.75), 1.5)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -0.5], [float("nan")], [float("inf"), 1.0]])
def test_weights_that_are_no_shares_are_refused(weights):
    with pytest.raises(ConfigError, match="--weights"):
        mixture_of(weights)


@pytest.fixture
def static(planted, tmp_path):
    """Give the folder of an untrained static encoder, and of two that were moved away from it."""
    bag = open_model(TrainConfig(), planted.start())
    folders = []
    for name in ("base", "one", "other"):
        bag.save(tmp_path / name)
        folders.append(tmp_path / name)
        with torch.no_grad():
            bag.module.embedding.add_(torch.randn(bag.module.embedding.shape, generator=torch.Generator()))
    return folders


WEIGHTS = "0_StaticEmbedding/model.safetensors"


def test_folders_of_static_encoders_are_merged_and_load(static, tmp_path):
    from sentence_transformers import SentenceTransformer

    base, one, other = static
    merge_folders(base, [one, other], Mixture((0.5, 0.5)), tmp_path / "merged")
    tables = [load_file(folder / WEIGHTS)["embedding.weight"] for folder in (one, other, tmp_path / "merged")]
    assert torch.allclose(tables[2], (tables[0] + tables[1]) / 2, atol=1e-6)
    assert not torch.allclose(tables[2], tables[0], atol=1e-2)
    merged = SentenceTransformer(str(tmp_path / "merged"), device="cpu", local_files_only=True)
    assert merged.encode(["ask1 word2"]).shape == (1, 16)
    said = json.loads((tmp_path / "merged" / MERGE).read_text())
    assert [model["share"] for model in said["models"]] == [0.5, 0.5]
    assert not (tmp_path / "staging").exists()


def test_a_whole_share_gives_the_file_of_that_model(static, tmp_path):
    base, one, other = static
    merge_folders(base, [one, other], Mixture((0.0, 1.0)), tmp_path / "merged")
    there, here = (load_file(folder / WEIGHTS)["embedding.weight"] for folder in (other, tmp_path / "merged"))
    assert torch.equal(there, here)


def test_transformers_are_merged_whole_numbers_kept(tiny_model, tmp_path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    path = other / "model.safetensors"
    tensors = load_file(path)
    save_file({name: one + 1 if one.is_floating_point() else one for name, one in tensors.items()}, path)
    merge_folders(tiny_model, [tiny_model, other], Mixture((0.25, 0.75), 2.0), tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    for name, tensor in tensors.items():
        expected = tensor + 1.5 if tensor.is_floating_point() else tensor
        assert torch.allclose(merged[name], expected, atol=1e-5), name
    assert open_model(TrainConfig(model=str(tmp_path / "merged"), device="cpu"), None).encode(["ask1"], "query").any()


def test_shards_are_found_by_their_keys(tiny_model, tmp_path):
    """The same parameters in two files instead of one."""
    sharded = shutil.copytree(tiny_model, tmp_path / "sharded")
    tensors = list(load_file(sharded / "model.safetensors").items())
    (sharded / "model.safetensors").unlink()
    for place, part in enumerate((tensors[:9], tensors[9:]), start=1):
        save_file(dict(part), sharded / f"model-0000{place}-of-00002.safetensors")
    merge_folders(sharded, [tiny_model, sharded], Mixture((0.5, 0.5)), tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert all(torch.equal(merged[name], tensor) for name, tensor in tensors)


def change(folder, name, tensor) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors.pop("embedding.weight", None)
    save_file({**tensors, name: tensor}, folder / WEIGHTS)


def test_other_keys_are_named(static):
    base, one, other = static
    change(other, "embedding.bias", drawn(1))
    with pytest.raises(ConfigError, match=r"other and .*one.*embedding\.weight is missing.*embedding\.bias is there"):
        check_folders(base, [one, other])


def test_another_shape_is_named(static):
    base, one, other = static
    change(base, "embedding.weight", drawn(1))
    with pytest.raises(ConfigError, match=r"embedding\.weight has shape \(6, 5\) in .*base and \(\d+, 16\)"):
        check_folders(base, [one, other])


def test_another_precision_is_named(static, tmp_path):
    base, one, other = static
    change(other, "embedding.weight", load_file(other / WEIGHTS)["embedding.weight"].bfloat16())
    with pytest.raises(ConfigError, match=r"embedding\.weight is stored as .*bfloat16 and .*float32"):
        merge_folders(base, [one, other], Mixture((0.5, 0.5)), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def edit(path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_one_shape_of_another_vocabulary_is_refused(static):
    """Rows would be added that mean different words."""
    base, one, other = static
    path = other / "0_StaticEmbedding" / "tokenizer.json"
    parsed = json.loads(path.read_text())
    vocabulary = parsed["model"]["vocab"]
    words = list(vocabulary)[-2:]
    vocabulary[words[0]], vocabulary[words[1]] = vocabulary[words[1]], vocabulary[words[0]]
    path.write_text(json.dumps(parsed))
    with pytest.raises(ConfigError, match=r"tokenizer\.json .* cut texts differently"):
        check_folders(base, [one, other])


def test_other_prompts_or_modules_are_refused(static, tiny_model, tmp_path):
    base, one, other = static
    edit(other / "config_sentence_transformers.json", prompts={"query": "ask: "})
    with pytest.raises(ConfigError, match="prompts in config_sentence_transformers"):
        check_folders(base, [one, other])
    pooled = shutil.copytree(tiny_model, tmp_path / "pooled")
    edit(next(pooled.glob("1_Pooling/config.json")), pooling_mode="cls")
    with pytest.raises(ConfigError, match=r"1_Pooling/config\.json"):
        check_folders(tiny_model, [tiny_model, pooled])


def test_a_folder_that_exists_or_is_no_model_or_lacks_a_share_is_refused(static, tmp_path):
    base, one, other = static
    with pytest.raises(ConfigError, match="exists"):
        merge_folders(base, [one, other], Mixture((0.5, 0.5)), other)
    with pytest.raises(ConfigError, match="1 weights for 2 models"):
        merge_folders(base, [one, other], Mixture((1.0,)), tmp_path / "merged")
    (other / WEIGHTS).write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot read the weights"):
        check_folders(base, [one, other])
    (other / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"no \.safetensors"):
        check_folders(base, [one, other])
