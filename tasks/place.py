"""Where things lie. Places come from the environment alone, never from a build file."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from negset.fingerprint import fingerprint
from negset.objects.artifacts import ObjectArtifacts
from negset.objects.objects import Objects
from negset.objects.opening import is_address, open_objects
from negset.objects.patience import Patience
from negset.store import Store


class Place(BaseSettings):
    """Folders of this machine: NEGSET_HOME, or each of NEGSET_STORE, NEGSET_SETS and NEGSET_RUNS by itself.

    NEGSET_STORE and NEGSET_SETS may be addresses of object stores that others share; their folders here then hold
    what this machine has made and used of them.
    """

    model_config = SettingsConfigDict(env_prefix="NEGSET_", frozen=True)

    home: Path = Path(".negset")
    store: str | None = None
    sets: str | None = None
    runs: Path | None = None
    cluster: str = ""
    """Address of the Dask scheduler or Ray head that `runner.kind` is to use; empty to start one for the build."""
    objects_deadline: float = Field(default=Patience().deadline, gt=0)
    """Seconds after which an operation on an object store is given up."""
    signing_key: Path | None = None
    """PEM of the private key that versions are signed with."""
    lineage: str = ""
    """Where OpenLineage events go: a file, to which a line each is appended, or the http(s) address of a server."""
    lineage_namespace: str = "negset"
    allow_http: bool = Field(default=False, validation_alias="AWS_ALLOW_HTTP")

    def open_store(self) -> Store:
        """Give the store of artifacts, with a working folder here where it is shared."""
        if self.store and is_address(self.store):
            folder = self.home / "artifacts" / fingerprint(self.store.rstrip("/"))[:16]
            return Store(folder.absolute(), ObjectArtifacts(self.open_objects(self.store)))
        return Store((Path(self.store) if self.store else self.home / "store").absolute())

    def sets_folder(self) -> Path:
        """Give the folder of published sets, or of the working copies of shared ones."""
        if self.sets and is_address(self.sets):
            return self.copies_folder(self.sets)
        return (Path(self.sets) if self.sets else self.home / "sets").absolute()

    def set_address(self, dataset: str) -> str:
        """Say where `dataset` is published: its folder, or its address."""
        shared = self.sets is not None and is_address(self.sets)
        return f"{self.sets}".rstrip("/") + f"/{dataset}" if shared else str(self.sets_folder() / dataset)

    def copies_folder(self, address: str) -> Path:
        """Give the folder with the copies of the sets at `address`."""
        return (self.home / "copies" / fingerprint(address.rstrip("/"))[:16]).absolute()

    def shared_sets(self) -> Objects | None:
        """Give the object store of published sets, None where they are in a folder."""
        return self.open_objects(self.sets) if self.sets and is_address(self.sets) else None

    def open_objects(self, address: str) -> Objects:
        """Open the object store at `address`."""
        return open_objects(address, Patience(deadline=self.objects_deadline), allow_http=self.allow_http)

    def runs_folder(self) -> Path:
        """Give the folder of training runs."""
        return (self.runs or self.home / "runs").absolute()

    def failures_folder(self) -> Path:
        """Give the folder that keeps the reports of sets that did not pass."""
        return (self.home / "failed").absolute()
