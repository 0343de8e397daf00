"""What every test may use; the environment is set before anything imports Prefect."""

import os
import tempfile
from pathlib import Path

os.environ |= {
    "PREFECT_HOME": tempfile.mkdtemp(prefix="negset-prefect-"),
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}

import hypothesis
import pytest

from negset.store import Store

# The first example of a test pays for imports and caches; a deadline would make the suite depend on the machine.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real collections, or skip."""
    usual = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEGSET_DATA", usual))
    if not folder.is_dir():
        pytest.skip(f"no real collections at {folder}; set NEGSET_DATA")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store."""
    return Store(tmp_path / "store")
