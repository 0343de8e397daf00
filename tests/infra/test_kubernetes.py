"""infra/kubernetes, checked without a cluster."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from prefect.settings.legacy import _get_settings_fields
from prefect.settings.models.root import Settings
from prefect.utilities.templating import apply_values, find_placeholders

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
SERVER = yaml.safe_load((FOLDER / "server-values.yaml").read_text())
WORKER = yaml.safe_load((FOLDER / "worker-values.yaml").read_text())["worker"]
MANIFESTS = list(yaml.safe_load_all((FOLDER / "namespace.yaml").read_text()))
TEMPLATE = json.loads((FOLDER / "base-job-template.json").read_text())


def kinds(kind):
    return [one for one in MANIFESTS if one["kind"] == kind]


def rendered(**values):
    """Fill the template in as a worker does: defaults, then what a deployment says; what is left empty goes."""
    known = TEMPLATE["variables"]["properties"]
    defaults = {name: one["default"] for name, one in known.items() if "default" in one}
    return apply_values(TEMPLATE["job_configuration"], {**defaults, **values})["job_manifest"]


def test_the_server_asks_who_is_there_and_is_not_shown_to_the_world():
    assert SERVER["server"]["basicAuth"] == {"enabled": True, "existingSecret": "negset-prefect-auth"}
    assert SERVER["service"] == {"type": "ClusterIP"}
    assert SERVER["ingress"] == {"enabled": False}
    environment = {one["name"]: one["value"] for one in SERVER["server"]["env"]}
    assert environment["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    known = _get_settings_fields(Settings)
    assert [name for name in environment if name.startswith("PREFECT_") and name not in known] == []


def test_the_charts_database_with_its_known_password_is_off():
    assert SERVER["postgresql"] == {"enabled": False}
    assert SERVER["secret"] == {"create": False, "name": "negset-database"}


def test_the_worker_knows_the_server_and_its_secret():
    said = WORKER["selfHostedServerApiConfig"]
    assert WORKER["apiConfig"] == "selfHostedServer"
    assert said["basicAuth"] == SERVER["server"]["basicAuth"]
    assert said["apiUrl"] == "http://prefect-server.negset.svc.cluster.local:4200/api"
    assert "baseJobTemplate" not in WORKER["config"]  # by --set-file, as README says


@pytest.mark.parametrize("values", [SERVER["global"]["prefect"]["image"], WORKER["image"]])
def test_images_are_of_the_version_that_is_tested(values):
    pins = (FOLDER.parents[1] / "constraints.txt").read_text()
    version = re.search(r"^prefect==(.*)$", pins, re.M)[1]
    assert values["prefectTag"].startswith(f"{version}-python3.11")


def test_nobody_comes_in_but_pods_to_the_server():
    closed, opened = kinds("NetworkPolicy")
    assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert opened["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prefect-server"}}
    assert opened["spec"]["ingress"] == [{"from": [{"podSelector": {}}], "ports": [{"port": 4200, "protocol": "TCP"}]}]
    assert kinds("Secret") == []


def test_the_template_has_a_variable_for_each_place_and_a_place_for_each():
    places = {found.name for found in find_placeholders(TEMPLATE["job_configuration"])}
    assert places == set(TEMPLATE["variables"]["properties"])
    jsonschema.Draft202012Validator.check_schema(TEMPLATE["variables"])
    for one in TEMPLATE["variables"]["properties"].values():
        if "default" in one:
            jsonschema.validate(one["default"], one)


def test_a_run_has_its_resources_and_a_gpu_only_where_it_asks():
    (container,) = rendered()["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "50Gi"}
    assert container["resources"]["limits"] == {"memory": "16Gi", "ephemeral-storage": "50Gi"}
    spec = rendered(gpus=1, memory="64Gi", node_selector={"gpu": "h100"})["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["containers"][0]["resources"]["requests"]["memory"] == "64Gi"
    assert spec["nodeSelector"] == {"gpu": "h100"}


def test_a_run_keeps_to_the_restricted_standard():
    (namespace,) = kinds("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    spec = rendered()["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    contexts = [container["securityContext"] for container in spec["containers"]]
    contexts += [SERVER["server"]["containerSecurityContext"], WORKER["containerSecurityContext"]]
    for context in contexts:
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_what_a_run_mounts_is_there():
    spec = rendered()["spec"]["template"]["spec"]
    assert {one["name"] for one in spec["containers"][0]["volumeMounts"]} == {one["name"] for one in spec["volumes"]}
    claims = {one["metadata"]["name"] for one in kinds("PersistentVolumeClaim")}
    asked = {one["persistentVolumeClaim"]["claimName"] for one in spec["volumes"] if "persistentVolumeClaim" in one}
    assert asked <= claims
    assert spec["serviceAccountName"] in {one["metadata"]["name"] for one in kinds("ServiceAccount")}
