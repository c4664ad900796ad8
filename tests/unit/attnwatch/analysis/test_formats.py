import csv
import io
import json

import pytest

from attnwatch.analysis.extras import extra
from attnwatch.analysis.formats import data_frame, encoded, write_csv
from attnwatch.analysis.table import Table
from attnwatch.errors import ConfigError

PROMPT = 'a "(kiss)",\nüber'


@pytest.fixture
def table() -> Table:
    made = Table()
    made.add({"prompt": PROMPT, "seed": 1, "mass": 0.123456789, "settled": None})
    made.add({"prompt": None, "seed": 2, "mass": None, "settled": None})
    return made


def test_csv_holds_texts_with_quotes_and_line_ends_and_leaves_out_what_is_undefined(table: Table) -> None:
    text = encoded(table, "csv").decode()

    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["seed", "prompt", "mass", "settled"],
        ["1", PROMPT, "0.123456789", ""],
        ["2", "", "", ""],
    ]
    shown = io.StringIO()
    write_csv(table, shown, lambda text: text.replace("\n", "?"))
    assert len(shown.getvalue().splitlines()) == 3


@pytest.mark.parametrize("text", ["=1+1", "+kiss", "-kiss", "@kiss", "'=1+1"])
def test_texts_that_a_spreadsheet_takes_for_formulas_are_read_back_as_they_were(text: str) -> None:
    made = Table()
    made.add({"prompt": text, "mass": -0.5})
    assert list(csv.reader(io.StringIO(encoded(made, "csv").decode(), newline="")))[1] == [text, "-0.5"]


def test_json_is_a_list_of_records(table: Table) -> None:
    assert json.loads(encoded(table, "json")) == [
        {"prompt": PROMPT, "seed": 1, "mass": 0.123456789, "settled": None},
        {"prompt": None, "seed": 2, "mass": None, "settled": None},
    ]


def test_parquet_and_data_frames_have_numbers_where_they_are_undefined_too(table: Table) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")

    read = pandas.read_parquet(io.BytesIO(encoded(table, "parquet")))

    assert {name: str(kind) for name, kind in read.dtypes.items() if name != "prompt"} == {
        "seed": "int64",
        "mass": "float64",
        "settled": "float64",
    }
    assert read.prompt[0] == PROMPT
    assert read.prompt.isna().tolist() == [False, True]
    assert data_frame(table).mass[0] == 0.123456789


def test_a_library_that_is_missing_is_named_with_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"found no nowhere; expected it .*pip install 'attnwatch\[measure\]'"):
        extra("nowhere.below")
