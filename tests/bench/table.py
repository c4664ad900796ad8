"""Prints benchmark tables row by row and writes them as JSON. No row passes or fails."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.measure import Ratio


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        what: description of what was measured.
        found: the measured value; None if it was not measured.
        bar: the highest value aimed at; None if the figure is only reported.
        unit: unit of both.
        detail: the values behind the figure, or why it was not measured.

    """

    what: str
    found: float | None
    bar: float | None
    unit: str = "x"
    detail: str = ""


Part = Callable[[Path], Iterator[Row]]


def row(what: str, ratio: Ratio, bar: float | None) -> Row:
    """Return the row of a ratio."""
    return Row(what, ratio.value, bar, detail=f"{ratio.work:.3f} s / {ratio.reference:.3f} s")


def print_table(parts: Sequence[Part], default: str, versions: str) -> None:
    """Print the rows of all parts, or of those named on the command line: `[bench.json [part ...]]`."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    unknown = set(sys.argv[2:]) - {part.__name__ for part in parts}
    if unknown:
        sys.exit(f"parts: found {', '.join(sorted(unknown))}; expected some of {', '.join(p.__name__ for p in parts)}")
    chosen = [part for part in parts if len(sys.argv) < 3 or part.__name__ in sys.argv[2:]]
    rows: list[dict[str, object]] = []
    out = sys.stdout
    out.write(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    out.write(f"{'work':<58} {'found':>9} {'at most':>9}\n")
    with tempfile.TemporaryDirectory(prefix="attnwatch-bench-") as name:
        for part in chosen:
            for line in part(Path(name)):
                rows.append(asdict(line))
                out.write(f"{_written(line)}\n")
                out.flush()
                # After each row, so that a run that is cut short leaves what it has measured.
                document = {"cores": os.cpu_count(), "versions": versions, "rows": rows}
                target.write_text(json.dumps(document, indent=2) + "\n")


def _written(line: Row) -> str:
    bar = "" if line.bar is None else f"{line.bar:.2f} {line.unit}"
    if line.found is None:
        return f"{line.what:<58} {'':>9} {bar:>9}  not measured: {line.detail}"
    return f"{line.what:<58} {f'{line.found:>6.2f} {line.unit:<2}':>9} {bar:>9}  {line.detail}".rstrip()
