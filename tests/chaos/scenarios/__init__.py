"""One module per scenario; its `run(folder, scale)` yields figures with their bars."""

from tests.chaos.figures import Scenario
from tests.chaos.scenarios import (
    backlog,
    captures,
    cluster,
    content,
    crowd,
    descriptors,
    disk,
    escape,
    fuzz,
    hostile,
    kills,
    latency,
    misbehaving,
    neighbour,
    polling,
    stoppers,
    stopping,
    storm,
)

SCENARIOS: dict[str, Scenario] = {
    "kills": kills.run,
    "storm": storm.run,
    "latency": latency.run,
    "backlog": backlog.run,
    "crowd": crowd.run,
    "disk": disk.run,
    "descriptors": descriptors.run,
    "hostile": hostile.run,
    "escape": escape.run,
    "fuzz": fuzz.run,
    "misbehaving": misbehaving.run,
    "content": content.run,
    "polling": polling.run,
    "stoppers": stoppers.run,
    "stopping": stopping.run,
    "neighbour": neighbour.run,
    "captures": captures.run,
    "cluster": cluster.run,
}
