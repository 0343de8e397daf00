"""What the doctor says of memory, threads and GPUs."""

import os

import pytest
import torch

from flows.doctor import machine
from flows.doctor.machine import check_gpus, check_memory, check_threads
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig


def config(device):
    return BuildConfig(name="x", source={"format": "beir"}, encoder=EncoderConfig(device=device))


def test_little_memory_is_a_warning(monkeypatch):
    monkeypatch.setattr(machine, "machine_memory", lambda: 10**9)
    assert [one.verdict for one in check_memory(None, None)] == ["warn"]
    monkeypatch.setattr(machine, "machine_memory", lambda: 10**11)
    (one,) = check_memory(None, None)
    assert (one.verdict, "100.0 GB" in one.found) == ("ok", True)


def test_more_threads_than_processors_are_a_warning(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(1024)))
    monkeypatch.setattr(machine, "_quota", lambda: 0.0)
    assert [one.verdict for one in check_threads()] == ["ok"]
    monkeypatch.setattr(machine, "_quota", lambda: 0.5)
    (one,) = check_threads()
    assert (one.verdict, "OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1" in one.mend) == ("warn", True)


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine.Path, "exists", lambda self: False)


def test_no_gpu_is_well_unless_one_is_asked_for(without_gpu):
    assert [one.verdict for one in check_gpus(None)] == ["ok"]
    assert [one.verdict for one in check_gpus(config("auto"))] == ["ok"]
    assert [one.verdict for one in check_gpus(config("cuda:1"))] == ["fail"]


def test_a_gpu_that_torch_does_not_see_is_a_warning(without_gpu, monkeypatch):
    monkeypatch.setattr(machine.Path, "exists", lambda self: str(self) == "/dev/nvidia0")
    monkeypatch.setattr(torch.version, "cuda", None)
    (one,) = check_gpus(None)
    assert (one.verdict, "a CPU build" in one.found) == ("warn", True)


def test_a_gpu_that_computes_nothing_is_a_failure(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", broken)
    (one,) = check_gpus(None)
    assert (one.verdict, one.found) == ("fail", "computes nothing: CUDA error: no kernel image is available")


@pytest.mark.gpu
def test_a_gpu_adds_up():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert {one.verdict for one in check_gpus(None)} == {"ok"}
