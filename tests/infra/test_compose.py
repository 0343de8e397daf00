"""infra/compose.yaml, checked without a Docker daemon: what is open, what is secret, what is pinned, what is run."""

import os
import re
import stat
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from prefect.settings.legacy import _get_settings_fields
from prefect.settings.models.root import Settings

from infra import make_env

INFRA = Path(__file__).parents[2] / "infra"
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+)([^}]*)\}")
PUBLIC = {"NEGSET_FILES", "TORCH_CPU_INDEX"}
"""Variables that are no secrets and have a default."""


def texts(value):
    """Give every text in a piece of YAML."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [str(value)]


@pytest.mark.parametrize("name", SERVICES)
def test_every_published_port_is_bound_to_loopback(name):
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:"), port


def test_the_server_alone_is_on_a_network_that_leads_outside():
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, one in SERVICES.items() if "outside" in one["networks"]}
    assert outside == {"server"}
    assert not any("network_mode" in one for one in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_has_rights_it_does_not_need(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "privileged" not in service
    ours = service["image"].startswith("negset-")  # its image says who it is
    assert ours or not service["user"].startswith("0")
    assert not any("docker.sock" in text for text in texts(service))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    repository, _, tag = SERVICES[name]["image"].rpartition(":")
    assert repository
    assert re.search(r"\d+\.\d+", tag), tag


def test_no_secret_is_written_down_or_has_a_default():
    for text in texts(COMPOSE):
        for name, rest in VARIABLE.findall(text):
            assert name in PUBLIC or rest.startswith(":?"), text
    secret = re.compile("PASSWORD|SECRET|AUTH_STRING|ACCESS_KEY|CONNECTION_URL")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or VARIABLE.search(value), name


def test_the_server_asks_who_is_there():
    environment = SERVICES["server"]["environment"]
    assert "PREFECT_AUTH_STRING" in environment["PREFECT_SERVER_API_AUTH_STRING"]
    assert environment["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    for name in ("worker", "gpu-worker"):
        assert "PREFECT_AUTH_STRING" in SERVICES[name]["environment"]["PREFECT_API_AUTH_STRING"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_phones_home_and_every_setting_of_prefect_exists(name):
    environment = SERVICES[name].get("environment", {})
    known = _get_settings_fields(Settings)
    # Prefect ignores a setting that it does not know.
    assert [one for one in environment if one.startswith("PREFECT_") and one not in known] == []
    if SERVICES[name]["image"].startswith("negset-"):
        assert environment["DO_NOT_TRACK"] == "1"
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if one["image"].startswith("negset-")])
def test_commands_are_there(name):
    (command, *arguments) = SERVICES[name]["command"]
    (script,) = entry_points(group="console_scripts", name=command)
    assert callable(script.load())
    known = {"prefect": (["server", "start"], ["worker", "start"]), "negset": (["--help"],)}
    assert arguments[:2] in known[command]


def test_what_is_waited_for_is_there_and_says_how_it_is():
    for service in SERVICES.values():
        waits = service.get("depends_on", {})
        for name, how in waits.items() if isinstance(waits, dict) else [(one, {}) for one in waits]:
            assert how.get("condition") != "service_healthy" or "healthcheck" in SERVICES[name]


def test_a_volume_is_first_mounted_by_an_image_whose_folder_has_the_owner_of_who_writes_it():
    assert SERVICES["store"]["depends_on"] == {"store-folder": {"condition": "service_completed_successfully"}}
    assert SERVICES["store-folder"]["image"] == SERVICES["worker"]["image"]
    recipe = (INFRA / "Dockerfile").read_text()
    assert f"USER {SERVICES['store']['user']}" in recipe
    assert "install -d -o negset -g negset /data" in recipe
    for name in ("store-folder", "store"):
        assert "objects:/data" in SERVICES[name]["volumes"]


def test_volumes_and_networks_are_declared():
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith("${NEGSET_FILES")


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    make_env.write(first)
    make_env.write(second)
    assert stat.S_IMODE(os.stat(first).st_mode) == 0o600
    said = [dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M)) for path in (first, second)]
    wanted = {name for text in texts(COMPOSE) for name, _ in VARIABLE.findall(text)} - PUBLIC
    assert wanted <= set(said[0])
    for name in ("PREFECT_AUTH_STRING", "POSTGRES_PASSWORD", "STORE_SECRET_KEY"):
        assert said[0][name] != said[1][name]
        assert len(said[0][name]) >= 32
    before = first.read_bytes()
    with pytest.raises(FileExistsError):
        make_env.write(first)
    assert first.read_bytes() == before


def test_the_file_of_secrets_is_never_committed_nor_built_into_an_image():
    assert "/infra/.env" in (INFRA.parent / ".gitignore").read_text().splitlines()
    assert not any(".env" in line for line in (INFRA / "Dockerfile.dockerignore").read_text().splitlines())
