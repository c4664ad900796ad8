"""Loads settings: flag > environment variable > configuration file > default.

Each source becomes one flat table that maps a setting to its value and to the place where it was found. The tables are
merged and validated once, so that an error names the source of the wrong value.
"""

import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic.fields import FieldInfo

from generator.errors import SettingsError, did_you_mean, nearest
from generator.settings import AttentionSettings, ModelSettings, Settings, VideoSettings
from generator.settings.visualization import VisualizationParams, VisualizationSwitches

ENVIRONMENT_PREFIX = "GENERATOR_"
ATTENTION_BLOCKS = ("attention_analysis", "attention_analysis_settings")
"""Names of the attention block; the second one is that of older files."""
WATCHER_BLOCK = "watcher"
PARAMS_BLOCK = "visualization_params"


class Place(NamedTuple):
    """Path of a setting in `Settings`; ``block`` is empty for top-level settings."""

    block: str
    key: str

    def __str__(self) -> str:
        """Format as in a file: ``video.steps``."""
        return f"{self.block}.{self.key}".lstrip(".")


class Found(NamedTuple):
    """A value and a description of its source."""

    value: object
    source: str


Layer = dict[Place, Found]

BLOCKS: dict[str, type[BaseModel]] = {
    "model": ModelSettings,
    "video": VideoSettings,
    "attention_analysis": AttentionSettings,
}
TOP_LEVEL_KEYS = ("template", "prompts", "batch_name", "output")


def _names() -> dict[str, Place]:
    """Map the names that flags and environment variables use to settings."""
    places = [Place("", key) for key in TOP_LEVEL_KEYS]
    places += [Place(block, key) for block, fields in BLOCKS.items() for key in fields.model_fields]
    return {"model" if place == ("model", "id") else place.key: place for place in places}


NAMES = _names()


def field_of(place: Place) -> FieldInfo:
    """Return the declaration of a setting: its type, default and meaning."""
    model = BLOCKS[place.block] if place.block else Settings
    return model.model_fields[place.key]


def flag_of(name: str) -> str:
    """Return the flag of a setting, by its name in `NAMES`."""
    return f"--{name.replace('_', '-')}"


def variable_of(name: str) -> str:
    """Return the environment variable of a setting, by its name in `NAMES`."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Merge all sources and validate the result.

    Args:
        flags: values of the flags that were given, by the names in `NAMES`
        environment: environment variables; those of the generator begin with ``GENERATOR_``
        file: a YAML file, or None

    Raises:
        SettingsError: naming the source of a wrong value or an unknown name.

    """
    merged: Layer = {}
    if file is not None:
        merged |= _from_file(file)
    merged |= _from_environment(environment)
    merged |= {NAMES[name]: Found(value, flag_of(name)) for name, value in flags.items()}
    return _as_older_files_meant(_validate(merged))


def _as_older_files_meant(settings: Settings) -> Settings:
    """Add what a file does not ask of the watcher, but meant to the program before this one.

    ``auto_generate_videos`` alone meant "only at the end". The static video was for batches with a stored mean.
    """
    asked, stores = settings.visualization, settings.attention_analysis
    meant: dict[str, JsonValue] = {}
    if asked.get("auto_generate_videos") and asked.get("auto_generate_per_video") is None:
        meant["auto_generate_per_video"] = False
    if stores.store_attention and not stores.store_aggregated_attention and asked.get("generate_aggregated") is None:
        meant["generate_aggregated"] = False
    return settings.model_copy(update={"visualization": {**asked, **meant}})


def attention_settings(values: Mapping[str, object]) -> AttentionSettings:
    """Validate settings of ``attention_analysis``, by name.

    Raises:
        SettingsError: for a wrong value or an unknown name.

    """
    _refuse_unknown("", values, AttentionSettings.model_fields)
    layer = {Place("attention_analysis", name): Found(value, name) for name, value in values.items()}
    return _validate(layer).attention_analysis


def _from_environment(environment: Mapping[str, str]) -> Layer:
    """Read the variables that are settings, and refuse those that look like a typo of one."""
    layer: Layer = {}
    known = {variable_of(name): place for name, place in NAMES.items()}
    for variable, value in environment.items():
        if variable in known:
            layer[known[variable]] = Found(value, f"environment variable {variable}")
        elif variable.startswith(ENVIRONMENT_PREFIX) and nearest(variable, known, cutoff=0.85):
            raise SettingsError(_unknown(f"environment variable {variable}", variable, known))
    return layer


def _from_file(path: Path) -> Layer:
    """Read a configuration file. A key whose value is null counts as absent."""
    layer: Layer = {}
    for key, value in _read_yaml(path).items():
        if key in ATTENTION_BLOCKS:
            layer |= _attention_layer(path, key, value)
        elif key in BLOCKS:
            entries = _mapping(path, key, value)
            _refuse_unknown(f"{path}: {key}.", entries, BLOCKS[key].model_fields)
            layer |= {Place(key, name): Found(entry, f"{path}: {key}.{name}") for name, entry in entries.items()}
        elif key in TOP_LEVEL_KEYS:
            layer[Place("", key)] = Found(value, f"{path}: {key}")
    return {place: found for place, found in layer.items() if found.value is not None}


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML would silently keep the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag.endswith(":str") and lines.setdefault(key.value, line) != line:
                raise _TwiceError(
                    f"found the key {key.value!r} twice, in lines {lines[key.value]} and {line}; expected it once. "
                    "Merge the two, or delete one"
                )
        return super().construct_mapping(node, deep)


class _TwiceError(yaml.YAMLError):
    pass


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = yaml.load(text, _Loader)  # noqa: S506 - derived from the safe one
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except _TwiceError as error:
        raise SettingsError(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        raise SettingsError(f"the configuration file {path} is not YAML: {_syntax_error(text, error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {path} is not YAML: {error}") from error
    entries = _mapping(path, "", content)
    _refuse_unknown(f"{path}: ", entries, {*BLOCKS, *TOP_LEVEL_KEYS, *ATTENTION_BLOCKS, WATCHER_BLOCK})
    if all(block in entries for block in ATTENTION_BLOCKS):
        raise SettingsError(
            f"{path}: found both `{ATTENTION_BLOCKS[0]}` and `{ATTENTION_BLOCKS[1]}`, two names of one block. "
            f"Move everything into `{ATTENTION_BLOCKS[0]}`"
        )
    return entries


def _syntax_error(text: str, error: yaml.MarkedYAMLError) -> str:
    """Name the line and the problem; if text without quotes was taken for YAML, which a template often is, say so."""
    if error.problem_mark is None:
        return str(error)
    number = error.problem_mark.line
    lines = text.splitlines()
    line = lines[number] if number < len(lines) else ""
    found = f"line {number + 1}, {line.strip()!r}: {error.problem}"
    key, colon, value = line.partition(": ")
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{found}. Indent with spaces"
    if colon and not value.lstrip().startswith(("'", '"')):
        return f"{found}. Put the value in quotes: {key.strip()}: {json.dumps(value.strip(), ensure_ascii=False)}"
    return found


def _attention_layer(path: Path, block: str, value: object) -> Layer:
    """Split the attention block into the generator's own settings and its requests to the watcher."""
    entries = _mapping(path, block, value)
    own, switches = AttentionSettings.model_fields, VisualizationSwitches.model_fields
    _refuse_unknown(f"{path}: {block}.", entries, [*own, *switches, PARAMS_BLOCK])
    layer = {
        Place("attention_analysis", key): Found(entry, f"{path}: {block}.{key}")
        for key, entry in entries.items()
        if key in own
    }
    requests = {key: entry for key, entry in entries.items() if key in switches}
    params = _mapping(path, f"{block}.{PARAMS_BLOCK}", entries.get(PARAMS_BLOCK))
    _refuse_unknown(f"{path}: {block}.{PARAMS_BLOCK}.", params, VisualizationParams.model_fields)
    _refuse_other_kinds(f"{path}: {block}.", requests, VisualizationSwitches)
    _refuse_other_kinds(f"{path}: {block}.{PARAMS_BLOCK}.", params, VisualizationParams)
    layer[Place("", "visualization")] = Found({**requests, **params}, f"{path}: {block}")
    return layer


def _refuse_other_kinds(prefix: str, entries: Mapping[str, object], model: type[BaseModel]) -> None:
    try:
        model.model_validate(entries)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(complaint(details, f"{prefix}{details['loc'][0]}") for details in error.errors())
        ) from error


def _mapping(path: Path, name: str, value: object) -> dict[str, Any]:
    """Return a block as a dictionary; an empty block may be null."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SettingsError(f"{path}: {name or 'the file'}: found {value!r}; expected `key: value` lines")
    return value


def _refuse_unknown(prefix: str, entries: Iterable[str], known: Iterable[str]) -> None:
    for key in entries:
        if key not in known:
            raise SettingsError(_unknown(f"{prefix}{key}", key, known))


def _unknown(place: str, name: str, known: Iterable[str]) -> str:
    return f"{place}: unknown setting. {did_you_mean(name, known)}"


def _validate(layer: Layer) -> Settings:
    nested: dict[str, Any] = {}
    for place, found in layer.items():
        owner = nested.setdefault(place.block, {}) if place.block else nested
        owner[place.key] = found.value
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(complaint(details, layer[_place(details)].source) for details in error.errors())
        ) from error


def _place(details: Any) -> Place:  # noqa: ANN401 - a TypedDict of pydantic_core
    first, *rest = map(str, details["loc"])
    return Place(first, rest[0]) if first in BLOCKS else Place("", first)


def complaint(details: Any, source: str) -> str:  # noqa: ANN401 - a TypedDict of pydantic_core
    """Format one validation error: source, value found, value expected."""
    found = details["input"]
    if details["type"] == "string_type":
        return f"{source}: found {found!r}, which YAML does not take for text; expected text. Put it in quotes"
    if details["type"] in {"tuple_type", "list_type"}:
        return f"{source}: found {found!r}; expected a list such as [{found}]"
    problem = details["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return f"{source}: found {found!r}; {problem}"
