"""Run scenarios and print a table of figures: `python -m tests.chaos [--quick] [--json FILE] [scenario ...]`.

The exit code is 1 if a figure misses its bar.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import SubprocessError
from textwrap import shorten

from tests.chaos.figures import Figure, Line, Scale, Scenario, Skipped
from tests.chaos.scenarios import SCENARIOS

TERMINATED = 143
LONGEST_DETAIL = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run at small scale, as in `make test`")
    parser.add_argument("--json", type=Path, default=Path("chaos.json"), help="write the figures to this file")
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"found {', '.join(sorted(unknown))}; expected any of: {', '.join(SCENARIOS)}")
    # SIGTERM exits through `finally` blocks, so that no daemon is left behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(TERMINATED))
    scale = Scale.QUICK if arguments.quick else Scale.FULL
    chosen = [name for name in SCENARIOS if name in (arguments.scenarios or SCENARIOS)]
    say(f"{scale.value}: {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}")
    say(f"{'':<12} {'figure':<76} {'found':>12} {'at most':>12}")
    results = [run(name, SCENARIOS[name], scale) for name in chosen]
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    document = {"scale": scale.value, "machine": machine, "scenarios": [asdict(result) for result in results]}
    arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    missed = sum(line.get("met") is False for result in results for line in result.lines)
    say(f"{missed} missed" if missed else "all met")
    return 1 if missed else 0


@dataclass(frozen=True)
class Result:
    """The result of one scenario, with its lines as in the JSON file.

    `load` is the machine's load average before it started: durations measured under load are unreliable.
    """

    name: str
    seconds: float
    load: float
    lines: list[dict[str, object]]


def run(name: str, scenario: Scenario, scale: Scale) -> Result:
    """Run one scenario in its own folder; an exception counts as a missed figure."""
    load, start = os.getloadavg()[0], time.monotonic()
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix=f"attnwatch-chaos-{name}-", ignore_cleanup_errors=True) as folder:
        try:
            for line in scenario(Path(folder), scale):
                lines.append(record(line))
                say(f"{name:<12} {text(line)}")
        except (AssertionError, ArithmeticError, LookupError, OSError, SubprocessError, ValueError) as error:
            broken = Figure(f"breaks: {type(error).__name__}: {error}", 1, 0)
            lines.append(record(broken))
            say(f"{name:<12} {text(broken)}")
    result = Result(name, round(time.monotonic() - start, 1), round(load, 1), lines)
    say(f"{name:<12} took {result.seconds:.0f} s; load average before it: {result.load}")
    return result


def text(line: Line) -> str:
    """Return a line of the table as text."""
    if isinstance(line, Skipped):
        return f"{line.what:<76} {'skipped':>12}  {line.reason}"
    values = (f"{value:,.3f}".rstrip("0").rstrip(".") for value in (line.found, line.bar))
    found, bar = (f"{value} {line.unit}".rstrip() for value in values)
    verdict = "ok" if line.met else "MISSED"
    detail = shorten(line.detail, LONGEST_DETAIL)
    return f"{line.what:<76} {found:>12} {bar:>12}  {verdict}{f'  ({detail})' if detail else ''}"


def record(line: Line) -> dict[str, object]:
    """Return a line of the table for the JSON file."""
    return {**asdict(line), "met": line.met} if isinstance(line, Figure) else asdict(line)


def say(line: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
