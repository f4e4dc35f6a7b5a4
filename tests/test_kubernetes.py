"""The manifests of examples/distributed/kubernetes, against Kubernetes' own schemas, and against each other.

No cluster is asked: what a schema cannot tell, whether names, ports and commands fit together, is asked here.
"""

import importlib.util
import pathlib
import sys

import kubernetes_validate
import pytest
import yaml

DISTRIBUTED = pathlib.Path(__file__).parents[1] / "examples" / "distributed"
FILES = sorted((DISTRIBUTED / "kubernetes").glob("*.yaml"))
DOCUMENTS = [document for path in FILES for document in yaml.safe_load_all(path.read_text())]
NAMED = {f"{document['kind']} {document['metadata']['name']}": document for document in DOCUMENTS}
PODS = {name: document["spec"]["template"] for name, document in NAMED.items() if "template" in document["spec"]}
SERVICES = {document["metadata"]["name"]: document for document in DOCUMENTS if document["kind"] == "Service"}
VERSIONS = ["1.29", kubernetes_validate.latest_version()]


def container(pod):
    (only,) = pod["spec"]["containers"]
    return only


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMED)
def test_a_manifest_is_what_kubernetes_takes(name, version):
    # Strict: a key that Kubernetes does not know would be dropped, and say nothing.
    kubernetes_validate.validate(NAMED[name], version, strict=True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda document: document["spec"].update(replica=2),
        lambda document: document["spec"].update(replicas="two"),
        lambda document: document["spec"].pop("selector"),
        lambda document: container(document["spec"]["template"])["ports"][0].update(containerPort="grpc"),
    ],
)
def test_the_check_sees_what_is_wrong(wrong):
    document = next(
        each
        for each in yaml.safe_load_all((DISTRIBUTED / "kubernetes" / "workers.yaml").read_text())
        if each["kind"] == "StatefulSet"
    )
    wrong(document)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_there_is_what_a_service_needs_and_no_secret():
    kinds = sorted(document["kind"] for document in DOCUMENTS)
    assert kinds == ["Job", "PersistentVolumeClaim", "Service", "Service", "StatefulSet", "StatefulSet"]


@pytest.mark.parametrize("name", PODS)
def test_an_image_must_be_set(name):
    # Names of images are of small letters: a cluster refuses this one, rather than find another's.
    assert container(PODS[name])["image"] == "SET-YOUR-IMAGE"


@pytest.mark.parametrize("name", PODS)
def test_volumes_that_are_mounted_are_there(name):
    spec = NAMED[name]["spec"]
    claimed = {each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", [])}
    volumes = PODS[name]["spec"].get("volumes", [])
    assert {each["name"] for each in container(PODS[name])["volumeMounts"]} == claimed | {v["name"] for v in volumes}
    claims = {each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each}
    assert all(f"PersistentVolumeClaim {claim}" in NAMED for claim in claims)


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("StatefulSet")])
def test_a_set_has_the_service_that_names_it(name):
    spec = NAMED[name]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    service = SERVICES[spec["serviceName"]]["spec"]
    assert spec["selector"]["matchLabels"] == labels == service["selector"]
    (port,), (at,) = service["ports"], container(PODS[name])["ports"]
    assert (port["port"], port["targetPort"]) == (at["containerPort"], at["name"])
    assert container(PODS[name])["readinessProbe"]["tcpSocket"]["port"] == at["name"]


def options(monkeypatch, pod, read):
    """What the example's own program understands of a command."""
    of = container(pod)
    assert of["command"][0] == "python" and (DISTRIBUTED / pathlib.Path(of["command"][1]).name).is_file()
    monkeypatch.setattr(sys, "argv", [*of["command"][1:], *of["args"]])
    return read()


def loaded(monkeypatch, name):
    monkeypatch.syspath_prepend(str(DISTRIBUTED))
    spec = importlib.util.spec_from_file_location(f"distributed_{name}", DISTRIBUTED / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commands_are_understood_and_find_each_other(monkeypatch):
    arguments = loaded(monkeypatch, "server").arguments
    dispatcher = options(monkeypatch, PODS["StatefulSet dispatcher"], arguments)
    worker = options(monkeypatch, PODS["StatefulSet worker"], arguments)
    trainer = options(monkeypatch, PODS["Job trainer"], loaded(monkeypatch, "service").options)
    ports = {name: service["spec"]["ports"][0]["port"] for name, service in SERVICES.items()}
    assert dispatcher["port"] == ports["dispatcher"] and worker["port"] == ports["workers"]
    assert worker["dispatcher"] == f"dispatcher:{ports['dispatcher']}"
    assert trainer.service == f"grpc://{worker['dispatcher']}"
    # The address by which a worker is found is among those that the dispatcher knows.
    replicas = NAMED["StatefulSet worker"]["spec"]["replicas"]
    addresses = [worker["address"].replace("$(POD_NAME)", f"worker-{number}") for number in range(replicas)]
    assert dispatcher["worker"] == addresses == [f"worker-{n}.workers:{ports['workers']}" for n in range(replicas)]


def test_data_and_journal_lie_where_they_are_mounted(monkeypatch):
    mounted = {
        name: {each["name"]: each["mountPath"] for each in container(pod)["volumeMounts"]}
        for name, pod in PODS.items()
    }
    arguments = loaded(monkeypatch, "server").arguments
    dispatcher = options(monkeypatch, PODS["StatefulSet dispatcher"], arguments)
    trainer = options(monkeypatch, PODS["Job trainer"], loaded(monkeypatch, "service").options)
    assert dispatcher["work_dir"] == mounted["StatefulSet dispatcher"]["journal"]
    # Both see the same files at the same place: their names go to the workers.
    assert trainer.folder.startswith(mounted["Job trainer"]["digits"] + "/")
    assert mounted["StatefulSet worker"]["digits"] == mounted["Job trainer"]["digits"]
    assert container(PODS["StatefulSet worker"])["workingDir"] == mounted["StatefulSet worker"]["scratch"]
