import pytest
from pydantic import ByteSize, ValidationError

from attnwatch.config import field_of
from attnwatch.settings import Visualization, Watcher
from attnwatch.settings.values import accepted, as_written, parse_value

FIELDS = [(model, name) for model in (Visualization, Watcher) for name in model.model_fields]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("0.5", 0.5), ("true", True), ("null", None), ("viridis", "viridis"), ("[12, 8]", [12, 8]), ("{", "{")],
)
def test_values_are_parsed_as_yaml(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("figsize", "12,8", [12, 8]),
        ("figsize", "12x8", [12, 8]),
        ("figsize", "12.5 x 8", [12.5, 8]),
        ("figsize", "[12, 8]", [12, 8]),
        ("figsize", "true", True),
        ("clip", "1,99", [1, 99]),
        ("steps", "0,4,-1", [0, 4, -1]),
        ("steps", "0-9", "0-9"),
        ("steps", "-1", -1),
        ("colormap", "1x2", "1x2"),
        ("exclude", "old_*", ["old_*"]),
        ("exclude", "*.tmp, #recycle", ["*.tmp", "#recycle"]),
        ("exclude", "['a,b', c]", ["a,b", "c"]),
    ],
)
def test_several_values_need_no_brackets_where_a_setting_takes_them(name, text, value):
    assert parse_value(text, field_of(name)) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("generate_overlay", "true or false"),
        ("overlay_alpha", "a number from 0 to 1"),
        ("static_duration", "a number above 0 and at most 3600"),
        ("vmin", "a number, or null"),
        ("fps", "a number from 0.1 to 240, or null"),
        ("workers", "a whole number from 1 to 256"),
        ("retry_backoff", "a number of at least 0"),
        ("quality", "one of fast, balanced, high"),
        ("memory_limit", "a size such as 500MiB or 2GiB, or null"),
        ("figsize", "two numbers from 1 to 100, such as 12x8, 12,8 or [12, 8], or null"),
        ("steps", "a number, a range such as 0-9, or a list of at most 10,000 numbers such as 0,4,9, or null"),
    ],
)
def test_what_a_setting_accepts_is_described(name, text):
    assert accepted(field_of(name)) == text


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_setting_is_said_to_accept_is_accepted(model, name):
    """Whether null is accepted, and every example that is named."""
    text = accepted(model.model_fields[name])
    examples = text.partition("such as ")[2].removesuffix(", or null").replace(" or ", ", ")
    values = [example for example in examples.split(", ") if "[" not in example and "]" not in example]
    if "range such as" in text:
        values = ["0-9", "0,4,9"]
    for value in [*filter(None, values), *(["null"] if "or null" in text else [])]:
        model(**{name: parse_value(value, model.model_fields[name])})
    if "or null" not in text:
        with pytest.raises(ValidationError):
            model(**{name: None})


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_default_that_is_written_is_read_as_the_same_value(model, name):
    field = model.model_fields[name]
    default = field.get_default(call_default_factory=True)
    assert getattr(model(**{name: parse_value(as_written(default), field)}), name) == default


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ByteSize(2**31), "2GiB"),
        (ByteSize(1000), "1000B"),
        (ByteSize(0), "0B"),
        ((12.0, 8.5), "12,8.5"),
        (None, "null"),
    ],
)
def test_values_are_written_as_flags_take_them(value, text):
    assert as_written(value) == text
