"""infra/Dockerfile, checked without a Docker daemon."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "infra" / "Dockerfile").read_text()).splitlines()
STAGES = {}
for line in LINES:
    if line.startswith("FROM "):
        STAGES[line.split()[3]] = current = [line]
    elif line and not line.startswith("#"):
        current.append(line)


def project_name(requirement):
    """Give the name that a requirement is about, in its normal form."""
    return re.sub("[-_.]+", "-", re.split(r"[\[=<>~!; ]", requirement)[0]).lower()


def test_the_base_is_pinned_and_the_stages_stand_on_it():
    assert re.fullmatch(r"FROM python:3\.11\.\d+-slim-bookworm AS base", STAGES["base"][0])
    assert STAGES["builder"][0] == "FROM base AS builder"
    assert STAGES["cpu"][0] == "FROM base AS cpu"
    assert STAGES["cuda"][0] == "FROM cpu AS cuda"


def test_images_run_as_nobody_special_and_have_no_compiler_nor_index_in_them():
    users = [line for line in STAGES["cpu"] if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert not any(line.startswith("USER ") for line in STAGES["cuda"])
    for stage in ("base", "cpu", "cuda"):
        assert not any("pip " in line or "apt-get" in line or line.startswith("ARG ") for line in STAGES[stage])
    assert "--from=builder" in next(line for line in STAGES["cpu"] if line.startswith("COPY"))


def test_everything_is_installed_from_the_tested_versions():
    installs = [line for line in STAGES["builder"] if "pip install" in line]
    first, second = installs
    assert "--constraint constraints.txt --requirement requirements.txt" in first
    assert "--no-deps" in second
    assert "pip check" in second
    pinned = {project_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (said,) = re.findall(r"python requirements.py (.*?) >", first)
    asked = subprocess.run(
        [sys.executable, "infra/requirements.py", *said.split()], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert set(project["project"]["dependencies"]) < set(asked)
    names = {project_name(line) for line in asked}
    assert {"obstore", "prefect-dask"} <= names
    assert names <= pinned


def test_what_is_copied_exists_and_reaches_the_builder():
    reaches = {line[1:] for line in (ROOT / "infra" / "Dockerfile.dockerignore").read_text().splitlines()}
    copied = [source for line in STAGES["builder"] if line.startswith("COPY ") for source in line.split()[1:-1]]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name for name in packages if "*" not in name} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists()
        assert source in reaches
