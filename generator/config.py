"""Where settings come from: flag > environment variable > configuration file > default.

Every layer becomes one flat table from a setting's place to its value and where that was found. The tables are
merged and validated once, so an error can name the source of the value that it is about.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from generator import visualization
from generator.errors import SettingsError
from generator.settings import AttentionSettings, ModelSettings, Settings, VideoSettings

ENVIRONMENT_PREFIX = "GENERATOR_"
ATTENTION_BLOCKS = ("attention_analysis", "attention_analysis_settings")
"""Names of the block about attention; the second is the one of older files."""
WATCHER_BLOCK = "watcher"


class Place(NamedTuple):
    """Where a setting stands in `Settings`; ``block`` is empty at the top."""

    block: str
    key: str

    def __str__(self) -> str:
        """Write it as in a file: ``video.steps``."""
        return f"{self.block}.{self.key}".lstrip(".")


class Found(NamedTuple):
    """A value, and a description of where it was found."""

    value: object
    source: str


Layer = dict[Place, Found]

BLOCKS: dict[str, type[BaseModel]] = {
    "model": ModelSettings,
    "video": VideoSettings,
    "attention_analysis": AttentionSettings,
}
TOP_LEVEL_KEYS = ("template", "batch_name", "output")


def _names() -> dict[str, Place]:
    """List settings by the names that flags and environment variables go by."""
    places = [Place(block, key) for block, fields in BLOCKS.items() for key in fields.model_fields]
    places += [Place("", key) for key in TOP_LEVEL_KEYS]
    return {"model" if place == ("model", "id") else place.key: place for place in places}


NAMES = _names()


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Merge all layers and validate them.

    Args:
        flags: setting's name to value, as in `NAMES`; None where a flag was not given
        environment: environment variables; those of the generator begin with ``GENERATOR_``
        file: a YAML file, or None

    Raises:
        SettingsError: naming the source of a wrong value or an unknown name.

    """
    merged: Layer = {}
    if file is not None:
        merged |= _from_file(file)
    merged |= _from_environment(environment)
    merged |= {
        NAMES[name]: Found(value, f"--{name.replace('_', '-')}") for name, value in flags.items() if value is not None
    }
    return _validate(merged)


def attention_settings(values: Mapping[str, object]) -> AttentionSettings:
    """Validate settings of the block about attention alone, by name.

    Raises:
        SettingsError: for a wrong value or an unknown name.

    """
    for name in values:
        if name not in AttentionSettings.model_fields:
            raise SettingsError(f"{name}: there is no such setting. {_nearest(name, AttentionSettings.model_fields)}")
    layer = {Place("attention_analysis", name): Found(value, name) for name, value in values.items()}
    return _validate(layer).attention_analysis


def _from_environment(environment: Mapping[str, str]) -> Layer:
    """Take the variables that are settings, and refuse those that look like a slip of the keyboard."""
    layer: Layer = {}
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}": place for name, place in NAMES.items()}
    for variable, value in environment.items():
        if variable in known:
            layer[known[variable]] = Found(value, f"environment variable {variable}")
        elif variable.startswith(ENVIRONMENT_PREFIX) and (near := get_close_matches(variable, known, 1, 0.85)):
            raise SettingsError(f"environment variable {variable}: there is no such setting. Did you mean {near[0]}?")
    return layer


def _from_file(path: Path) -> Layer:
    """Read a configuration file. Keys that are null are as good as absent."""
    layer: Layer = {}
    for key, value in _read_yaml(path).items():
        if key in ATTENTION_BLOCKS:
            layer |= _attention_layer(path, key, value)
        elif key in BLOCKS:
            entries = _mapping(path, key, value)
            _refuse_unknown(path, f"{key}.", entries, BLOCKS[key].model_fields)
            layer |= {Place(key, name): Found(entry, f"{path}: {key}.{name}") for name, entry in entries.items()}
        elif key in TOP_LEVEL_KEYS:
            layer[Place("", key)] = Found(value, f"{path}: {key}")
    return {place: found for place, found in layer.items() if found.value is not None}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {path} is not YAML: {error}") from error
    entries = _mapping(path, "", content)
    _refuse_unknown(path, "", entries, [*BLOCKS, *TOP_LEVEL_KEYS, *ATTENTION_BLOCKS, WATCHER_BLOCK])
    if all(block in entries for block in ATTENTION_BLOCKS):
        raise SettingsError(
            f"{path}: found both `{ATTENTION_BLOCKS[0]}` and `{ATTENTION_BLOCKS[1]}`, two names of one block. "
            f"Move everything into `{ATTENTION_BLOCKS[0]}`"
        )
    return entries


def _attention_layer(path: Path, block: str, value: object) -> Layer:
    """Split the block about attention into what the generator stores and what the watcher is asked for."""
    entries = _mapping(path, block, value)
    own = AttentionSettings.model_fields
    _refuse_unknown(path, f"{block}.", entries, [*own, *visualization.SWITCHES, "visualization_params"])
    layer = {
        Place("attention_analysis", key): Found(entry, f"{path}: {block}.{key}")
        for key, entry in entries.items()
        if key in own
    }
    params = _mapping(path, f"{block}.visualization_params", entries.get("visualization_params"))
    _refuse_unknown(path, f"{block}.visualization_params.", params, visualization.PARAMS)
    switches = {key: entry for key, entry in entries.items() if key in visualization.SWITCHES}
    _refuse_other_kinds(path, f"{block}.", switches)
    _refuse_other_kinds(path, f"{block}.visualization_params.", params)
    layer[Place("", "visualization")] = Found({**switches, **params}, f"{path}: {block}")
    return layer


def _refuse_other_kinds(path: Path, prefix: str, entries: Mapping[str, object]) -> None:
    for name, value in entries.items():
        if expected := visualization.wrong_kind(name, value):
            raise SettingsError(f"{path}: {prefix}{name}: found {value!r}; expected {expected}")


def _mapping(path: Path, name: str, value: object) -> dict[str, Any]:
    """Return a block as a dictionary; an empty one may be null."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SettingsError(f"{path}: {name or 'the file'}: found {value!r}; expected `key: value` lines")
    return value


def _refuse_unknown(path: Path, prefix: str, entries: Iterable[str], known: Iterable[str]) -> None:
    for key in entries:
        if key not in known:
            raise SettingsError(f"{path}: {prefix}{key}: there is no such setting. {_nearest(key, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(sorted(known))}"


def _validate(layer: Layer) -> Settings:
    nested: dict[str, Any] = {}
    for place, found in layer.items():
        owner = nested.setdefault(place.block, {}) if place.block else nested
        owner[place.key] = found.value
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaint(details, layer) for details in error.errors())) from error


def _complaint(details: Any, layer: Layer) -> str:  # noqa: ANN401 - a TypedDict of pydantic_core
    """Say where a wrong value was found, what it is and what was expected."""
    path = [str(part) for part in details["loc"]]
    place = Place(path[0], path[1]) if path[0] in BLOCKS else Place("", path[0])
    problem = details["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return f"{layer[place].source}: found {details['input']!r}; {problem}"
