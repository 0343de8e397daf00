"""One Prefect server on Postgres for all tests here, and how they deploy to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.cli import main
from tests.integration.postgres import NoPostgres, find_binaries, find_user, postgres
from tests.integration.prefect_site import Site, wait_for

HERE = Path(__file__).parent
Deploy = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, and keep it in the order of its file: who waits longest comes last."""
    places = [place for place, item in enumerate(items) if HERE in item.path.parents]
    mine = sorted((items[place] for place in places), key=lambda item: (item.path.name, item.reportinfo()[1] or 0))
    for place, item in zip(places, mine, strict=True):
        item.add_marker(pytest.mark.integration)
        item.add_marker(pytest.mark.timeout(900))
        items[place] = item


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running server with a worker on its pool `negset`; skip where there is no Postgres."""
    try:
        find_binaries()
        find_user()
    except NoPostgres as error:
        pytest.skip(str(error))
    with postgres() as address:
        found = Site(tmp_path_factory.mktemp("site"), address)
        try:
            found.start_server()
            wait_for(found.answers, "the server to answer", 120)
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="session")
def home(site: Site) -> Path:
    """Give the NEGSET_HOME of the runs of the pool `negset`, on which a worker waits."""
    home = site.folder / "home"
    site.start_worker(home)
    return home


@pytest.fixture(scope="session")
def deploy(site: Site) -> Deploy:
    """Give a function that runs `negset deploy FILE ...` against the server."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    def deploy(file: Path, *options: str) -> None:
        with (
            pytest.MonkeyPatch.context() as patch,
            temporary_settings({PREFECT_API_URL: site.api, PREFECT_API_AUTH_STRING: site.auth}),
        ):
            patch.setenv("PREFECT_API_URL", site.api)
            assert main(["deploy", str(file), *options]) == 0

    return deploy


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, monthly_world: Callable[[Path], Path]) -> Callable[[str], Path]:
    """Give a function that makes the build file of a dataset of three months, named as wanted."""
    folder = tmp_path_factory.mktemp("monthly")
    text = monthly_world(folder).read_text()

    def dataset(name: str) -> Path:
        path = folder / f"{name}.toml"
        path.write_text(text.replace('name = "log"', f'name = "{name}"'))
        return path

    return dataset
