"""The files for containers agree with the programs; `tests/integration/test_images.py` builds them."""

import importlib.util
import json
import re
import shutil
import subprocess
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
import yaml
from distributed.cli import dask_worker

from attnwatch.cli.view import PORT
from tests.support import called

FOLDER = Path(__file__).parents[2] / "configs" / "container"
CONTAINERFILE = (FOLDER / "Containerfile").read_text()
KUBERNETES = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())


TARGETS = ("watcher", "page", "generator")


def stages():
    """Return name -> instructions of each stage, with continued lines joined."""
    found = {}
    for line in re.sub(r"\\\n\s*", "", CONTAINERFILE).splitlines():
        if line.startswith("FROM "):
            found[line.split()[-1]] = current = []
        elif line and not line.startswith(("#", "ARG")):
            current.append(line)
    return found


def test_no_image_runs_as_root():
    built = stages()
    for name in TARGETS:
        assert [line for line in built[name] if line.startswith("USER")] == ["USER 10001"]
        assert built[name].index("USER 10001") > max(
            number for number, line in enumerate(built[name]) if line.startswith(("RUN", "COPY"))
        )
    assert "USER 10001" not in built["base"]
    # Not UID, which shells of users do not pass on.
    users = {service.get("user", "")[:17] for name, service in COMPOSE["services"].items() if name != "prometheus"}
    assert users == {"${ATTNWATCH_USER:"}


def test_every_image_says_how_its_health_is_found_and_how_it_ends():
    built = stages()
    for name in TARGETS:
        lines = built["base"] + built[name] if name != "generator" else built[name]
        assert len([line for line in lines if line.startswith("HEALTHCHECK")]) == 1
        assert [line for line in lines if line.startswith("STOPSIGNAL")] == ["STOPSIGNAL SIGTERM"]
        assert all(json.loads(line.split(" ", 1)[1]) for line in lines if line.startswith(("ENTRYPOINT", "CMD")))


def test_everything_from_elsewhere_has_a_release():
    images = re.findall(r"^ARG \w+=(\S+)$", CONTAINERFILE, re.MULTILINE)
    images += [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    assert len(images) == 3
    for image in images:
        name, _, tag = image.rpartition(":")
        assert name.startswith("docker.io/"), image
        assert re.search(r"\d|trixie", tag), image
    known = {*stages(), "scratch", "${DEBIAN}", "${CUDA}"}
    assert set(re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)) <= known


def test_what_is_compiled_for_every_run_exists():
    built = stages()
    for name in ("watcher", "page"):
        (line,) = [line for line in built[name] if line.startswith("RUN")]
        modules = json.loads(line[line.index("[") :])[2:]
        for module in modules:
            top, *rest = module.split(".")
            assert importlib.util.find_spec(top)
            path = FOLDER.parents[1].joinpath(top, *rest)
            assert top != "attnwatch" or path.is_dir() or path.with_suffix(".py").is_file(), module


def test_what_is_asked_for_their_health_is_an_option(capsys, tmp_path):
    (asked,) = [line for line in stages()["watcher"] if line.startswith("HEALTHCHECK")]
    assert asked.endswith('CMD ["attnwatch", "status", "/outputs", "--health"]')
    assert called(capsys, "status", tmp_path, "--health")[0] == 1


def test_ports_are_those_that_are_served_and_scraped():
    built = stages()
    assert f"EXPOSE {PORT}" in built["page"]
    assert "EXPOSE 9464" in built["watcher"]
    assert 'CMD ["/outputs", "--metrics-port", "0.0.0.0:9464"]' in built["watcher"]
    scraped = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"][0]["static_configs"]
    assert scraped == [{"targets": ["watcher:9464"]}]
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def pods(document):
    """Return the specifications of the pods in a document of Kubernetes."""
    if "containers" in document:
        return [document]
    return [pod for value in document.values() if isinstance(value, dict) for pod in pods(value)]


def test_pods_of_kubernetes_run_one_image_of_this_version_with_nothing_to_write_to_but_volumes():
    found = [pod for document in KUBERNETES for pod in pods(document)]
    assert len(found) == 3
    for pod in found:
        (container,) = pod["containers"]
        assert container["image"] == f"registry.example/attnwatch-dask:{version('attnwatch')}"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert f"USER {pod['securityContext']['runAsUser']}" in stages()["watcher"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_pods_of_kubernetes_run_programs_with_options_that_they_have(capsys):
    cluster, scaler, watcher = KUBERNETES
    scheduler, worker = (pods(cluster["spec"][part])[0]["containers"][0] for part in ("scheduler", "worker"))
    assert scheduler["command"] == ["dask", "scheduler"]
    assert worker["command"] == ["dask", "worker"]
    options = {option for parameter in dask_worker.main.params for option in parameter.opts}
    assert {word for word in worker["args"] if word.startswith("--")} <= options
    folder, *given = pods(watcher)[0]["containers"][0]["args"]
    assert folder == "/outputs"
    assert given[:2] == ["--engine", f"dask://{cluster['metadata']['name']}-scheduler:8786"]
    assert {word for word in given if word.startswith("--")} <= set(called(capsys, "--help")[1].split())
    assert scaler["spec"]["cluster"] == cluster["metadata"]["name"]


def test_the_extra_of_a_build_is_one_of_the_project():
    (extra,) = re.findall(r"EXTRAS=(\w+)", CONTAINERFILE)
    assert extra in metadata("attnwatch").get_all("Provides-Extra")
    assert "ARG EXTRAS" in CONTAINERFILE[CONTAINERFILE.index("AS watcher-files") :]


def test_environments_are_made_with_the_interpreter_that_runs_them():
    version = re.search(r"(python3\.\d+)-minimal", (FOLDER / "runtime.sh").read_text())[1]
    built = stages()
    for name in ("watcher", "page"):
        assert any(line.startswith(f"RUN {version} -m venv /opt/attnwatch") for line in built[f"{name}-files"])


def test_every_target_of_the_compose_file_is_a_stage():
    targets = {service["build"]["target"] for service in COMPOSE["services"].values() if "build" in service}
    assert targets == set(TARGETS)
    assert targets <= stages().keys()


def test_what_the_images_copy_is_there_and_not_ignored():
    root = FOLDER.parents[1]
    kept = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    sources = [source for sources in copied for source in sources.split()]
    sources += re.findall(r"source=([^, ]+)", CONTAINERFILE)
    assert sources
    for source in sources:
        assert (root / source).exists(), source
        assert source.split("/")[0] in kept, source


@pytest.mark.parametrize(("program", "pattern"), [("hadolint", "Containerfile"), ("shellcheck", "*.sh")])
def test_a_linter_finds_nothing(program, pattern):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    done = subprocess.run([program, *FOLDER.glob(pattern)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
