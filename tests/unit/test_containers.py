"""The files for containers agree with the programs; that images can be built is tried where there is a builder."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from attnwatch.cli.view import PORT
from tests.support import called

FOLDER = Path(__file__).parents[2] / "configs" / "container"
CONTAINERFILE = (FOLDER / "Containerfile").read_text()
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())


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
    for name in ("watcher", "page"):
        assert not [line for line in built[name] if line.startswith("USER")]
    for name in ("base", "generator"):
        assert [line for line in built[name] if line.startswith("USER")] == ["USER 10001"]
    assert all("user" in service for name, service in COMPOSE["services"].items() if name != "prometheus")


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


def test_every_target_of_the_compose_file_is_a_stage():
    targets = {service["build"]["target"] for service in COMPOSE["services"].values() if "build" in service}
    assert targets == {"watcher", "page", "generator"}
    assert targets <= stages().keys()


def test_what_the_images_copy_is_there_and_not_ignored():
    root = FOLDER.parents[1]
    kept = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    sources = [source for sources in copied for source in sources.split()]
    assert sources
    for source in sources:
        assert (root / source).exists(), source
        assert source.split("/")[0] in kept, source


@pytest.mark.parametrize("program", ["hadolint"])
def test_a_linter_finds_nothing(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    done = subprocess.run([program, FOLDER / "Containerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
