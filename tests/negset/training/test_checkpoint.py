import json
import os
import threading

import pytest
import torch

from negset.errors import ArtifactError, EnvironmentFault
from negset.training import checkpoint
from negset.training.checkpoint import Checkpoints, Position
from negset.training.state import State


def made(seed: int = 1, memory: bool = True) -> State:
    """Give two layers and a loss's own table, with optimizers of three kinds that have moved once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, own = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 2)), torch.nn.Linear(2, 2)
        module[0].sparse = True
        optimizers = [
            torch.optim.SparseAdam(module[0].parameters(), lr=0.1),
            torch.optim.AdamW([{"params": list(module[1].parameters()), "betas": (0.8, 0.9)}], lr=0.2),
            *([torch.optim.SGD(own.parameters(), lr=0.3, momentum=0.9)] if memory else []),
        ]
        state = State(module, own if memory else None, optimizers)
        moved(state)
    return state


def moved(state: State) -> None:
    out = state.module(torch.tensor([0, 3]))
    loss = (out if state.memory is None else state.memory(out)).square().sum()
    for optimizer in state.optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in state.optimizers:
        optimizer.step()


def parameters(state: State) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.clone()
        for name, one in state.modules().items()
        for key, value in one.state_dict().items()
    }


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_what_is_restored_goes_on_as_what_was_saved(tmp_path):
    state = made()
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(7, 2, 3, {"steps": 7}), state)
    moved(state)
    other = made(seed=2)
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        resumed = checkpoints.restore(other)
    assert resumed.position == Position(7, 2, 3, {"steps": 7})
    assert resumed.passed_over == ()
    moved(other)
    # Momenta, step counts and rates were restored too, or the next step would differ.
    assert same(parameters(other), parameters(state))


def test_what_changes_after_the_call_is_not_what_is_written(tmp_path):
    """The copy is taken at once: a writer that reads the live tensors would write what the next step made of them."""
    state, gate = made(), threading.Event()
    before = parameters(state)
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(1), state, lambda: gate.wait(10) and None)
        moved(state)
        gate.set()
    other = made(seed=2)
    Checkpoints(tmp_path, "run", 2).restore(other)
    assert same(parameters(other), before)
    assert not same(parameters(state), before)


def test_the_last_ones_are_kept(tmp_path):
    state = made()
    with Checkpoints(tmp_path, "run", 3) as checkpoints:
        for step in (2, 4, 8, 9, 10, 100):
            checkpoints.save(Position(step), state)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_10", "step_100", "step_9"]


def test_a_save_waits_for_the_one_before(tmp_path):
    state, order = made(), []

    def slow():
        threading.Event().wait(0.2)
        order.append("first written")

    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(1), state, slow)
        checkpoints.save(Position(2), state, lambda: order.append("second begins"))
        assert order[0] == "first written"
    assert order == ["first written", "second begins"]


def full():
    raise OSError(28, os.strerror(28))


def save_full(folder, then_another):
    with Checkpoints(folder, "run", 2) as checkpoints:
        checkpoints.save(Position(1), made(), full)
        if then_another:
            checkpoints.save(Position(2), made())


def save_full_and_stop(folder):
    with Checkpoints(folder, "run", 2) as checkpoints:
        checkpoints.save(Position(1), made(), full)
        raise KeyboardInterrupt


@pytest.mark.parametrize("then_another", [True, False])
def test_a_save_that_fails_is_raised_by_the_next_or_at_the_end(tmp_path, then_another):
    with pytest.raises(EnvironmentFault, match=r"disk full writing .*step_1"):
        save_full(tmp_path, then_another)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_loop_is_not_hidden_by_one_of_the_writer(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        save_full_and_stop(tmp_path)


def test_killed_between_save_and_rename_the_one_before_is_used(tmp_path, monkeypatch):
    state = made()
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(1), state)
        before = parameters(state)
    moved(state)

    class KilledError(BaseException):
        pass

    def killed(staged, target):
        assert sorted(path.name for path in staged.iterdir()) == ["position.json", "state.safetensors"]
        raise KilledError

    monkeypatch.setattr(checkpoint, "rename_folder", killed)
    with pytest.raises(KilledError), Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(2), state)
    assert (tmp_path / "step_2.tmp").is_dir()
    other = made(seed=2)
    resumed = Checkpoints(tmp_path, "run", 2).restore(other)
    assert resumed.position.step == 1
    assert same(parameters(other), before)
    assert [path.name for path in tmp_path.iterdir()] == ["step_1"]


def spoil_tensors(folder):
    data = bytearray((folder / "state.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "state.safetensors").write_bytes(bytes(data))


def cut_tensors(folder):
    data = (folder / "state.safetensors").read_bytes()
    (folder / "state.safetensors").write_bytes(data[: len(data) // 2])


def lose_tensors(folder):
    (folder / "state.safetensors").unlink()


def spoil_position(folder):
    (folder / "position.json").write_bytes(b'{"run": "ru')


def lose_position(folder):
    (folder / "position.json").unlink()


@pytest.mark.parametrize("spoil", [spoil_tensors, cut_tensors, lose_tensors, spoil_position, lose_position])
def test_a_damaged_newest_is_passed_over_and_that_is_said(tmp_path, spoil, caplog):
    state = made()
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(5), state)
        before = parameters(state)
        moved(state)
        checkpoints.save(Position(10), state)
    spoil(tmp_path / "step_10")
    other = made(seed=2)
    resumed = Checkpoints(tmp_path, "run", 2).restore(other)
    assert resumed.position.step == 5
    assert same(parameters(other), before)
    assert len(resumed.passed_over) == 1
    assert "step_10" in resumed.passed_over[0]
    assert "step_10" in caplog.text
    # Gone, so that the run's own step 10 can take its place.
    assert not (tmp_path / "step_10").exists()


def test_where_all_are_damaged_it_says_what_to_delete(tmp_path):
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(5), made())
    spoil_tensors(tmp_path / "step_5")
    with pytest.raises(ArtifactError, match=r"step_5.*Delete .* to train from the start"):
        Checkpoints(tmp_path, "run", 2).restore(made())


def test_one_that_lacks_what_it_needs_beside_it_is_passed_over(tmp_path):
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(5), made())
        checkpoints.save(Position(10), made())

    def check(position):
        if position.step == 10:
            message = "gone"
            raise ArtifactError(message)

    assert Checkpoints(tmp_path, "run", 2).restore(made(), check).position.step == 5


def test_that_of_another_run_is_removed(tmp_path):
    with Checkpoints(tmp_path, "other", 2) as checkpoints:
        checkpoints.save(Position(5), made())
    resumed = Checkpoints(tmp_path, "run", 2).restore(made())
    assert resumed.position == Position()
    assert list(tmp_path.iterdir()) == []


def test_nothing_in_it_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    with Checkpoints(tmp_path / "kept", "run", 2) as checkpoints:
        checkpoints.save(Position(5), made())
    folder = tmp_path / "kept" / "step_5"
    torch.save({"run": Bomb()}, folder / "state.safetensors")
    written = json.loads((folder / "position.json").read_text())
    written["sha256"] = checkpoint.file_digest(folder / "state.safetensors")
    (folder / "position.json").write_text(json.dumps(written))
    with pytest.raises(ArtifactError):
        Checkpoints(tmp_path / "kept", "run", 2).restore(made())
    assert not (tmp_path / "exploded").exists()


def test_a_state_of_another_shape_is_not_put_in(tmp_path):
    with Checkpoints(tmp_path, "run", 2) as checkpoints:
        checkpoints.save(Position(5), made(memory=False))
    with pytest.raises(ArtifactError, match="step_5"):
        Checkpoints(tmp_path, "run", 2).restore(made())


def test_clearing_waits_and_leaves_nothing(tmp_path):
    with Checkpoints(tmp_path / "kept", "run", 2) as checkpoints:
        checkpoints.save(Position(5), made(), lambda: threading.Event().wait(0.1) and None)
        checkpoints.clear()
        assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "kept").exists()
