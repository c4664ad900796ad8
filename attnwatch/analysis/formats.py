"""Writes tables as CSV, JSON or Parquet, and makes data frames of them."""

import csv
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from attnwatch.analysis.extras import extra
from attnwatch.analysis.table import Table

if TYPE_CHECKING:
    import pandas as pd

TableFormat: TypeAlias = Literal["csv", "json", "parquet"]


def write_csv(table: Table, file: TextIO, shown: Callable[[str], str] = str) -> None:
    """Write a line of column names and one for each row; what is undefined is empty.

    Args:
        table: the table.
        file: opened without translation of line ends.
        shown: how a text is written, such as with its control characters escaped for a terminal.

    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    for row in zip(*table.columns.values(), strict=True):
        writer.writerow([shown(value) if isinstance(value, str) else value for value in row])


def write_json(table: Table, file: TextIO) -> None:
    """Write a list with an object for each row, one a line; what is undefined is null."""
    file.write("[")
    for number, row in enumerate(table.rows()):
        file.write(f"{',' if number else ''}\n{json.dumps(row, allow_nan=False)}")
    file.write("\n]\n")


def data_frame(table: Table) -> "pd.DataFrame":
    """Return the table for a notebook; numbers that are undefined are NaN.

    Raises:
        ConfigError: pandas is not installed.

    """
    pandas = extra("pandas")
    frame: pd.DataFrame = pandas.DataFrame(table.columns)
    undefined = [name for name, values in table.columns.items() if all(value is None for value in values)]
    return frame.astype(dict.fromkeys(undefined, "float64"))


def encoded(table: Table, kind: TableFormat) -> bytes:
    """Return the table as the content of a file.

    Raises:
        ConfigError: a library that the format needs is not installed.

    """
    if kind == "parquet":
        extra("pyarrow")
        content = io.BytesIO()
        data_frame(table).to_parquet(content, engine="pyarrow", index=False)
        return content.getvalue()
    text = io.StringIO(newline="")
    (write_csv if kind == "csv" else write_json)(table, text)
    return text.getvalue().encode("utf-8", "surrogateescape")
