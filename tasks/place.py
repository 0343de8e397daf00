"""Where things lie. Places come from the environment alone, never from a build file."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from negset.store import Store


class Place(BaseSettings):
    """Folders of this machine: NEGSET_HOME, or each of NEGSET_STORE, NEGSET_SETS and NEGSET_RUNS by itself."""

    model_config = SettingsConfigDict(env_prefix="NEGSET_", frozen=True)

    home: Path = Path(".negset")
    store: Path | None = None
    sets: Path | None = None
    runs: Path | None = None

    def open_store(self) -> Store:
        """Give the store of artifacts."""
        return Store((self.store or self.home / "store").absolute())

    def sets_folder(self) -> Path:
        """Give the folder of published sets."""
        return (self.sets or self.home / "sets").absolute()

    def runs_folder(self) -> Path:
        """Give the folder of training runs."""
        return (self.runs or self.home / "runs").absolute()

    def failures_folder(self) -> Path:
        """Give the folder that keeps the reports of sets that did not pass."""
        return (self.home / "failed").absolute()
