"""Merges settings: flag > environment variable > YAML file > manifest of the batch > default.

Each layer is validated separately, so that an error names the source of the invalid value.
"""

import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attnwatch.errors import ConfigError, did_you_mean, nearest, shortened
from attnwatch.settings import LIMITED_BY_WATCHER, Visualization, Watcher

ENVIRONMENT_PREFIX = "ATTNWATCH_"

_MOST_NAMES = 5  # unknown ones that a note lists
_MOST_OF_A_VALUE = 200  # characters that a message quotes

# Blocks and keys of the shared YAML file that the generator reads (FORMAT.md, "The shared YAML file").
GENERATOR_BLOCKS = frozenset({"model", "video", "template", "prompts", "batch_name", "output"})
GENERATOR_ATTENTION_KEYS = frozenset(
    {
        "store_attention",
        "store_aggregated_attention",
        "compress_attention",
        "storage_interval",
        "storage_dtype",
        "spatial_downsample_factor",
        "store_per_block",
        "store_per_head",
        "layers",
        "branch",
        "store_reserved",
        "track",
        "max_attention_bytes",
        "self_check",
    }
)
ATTENTION_BLOCKS = ("attention_analysis", "attention_analysis_settings")

# The watcher's keys of that block are on two levels.
SWITCHES = frozenset({"auto_generate_per_video", "auto_generate_videos"})
_PARAMS = "visualization_params"
_PARAM_NAMES = frozenset(Visualization.model_fields) - SWITCHES


class Settings(BaseModel):
    """Settings of one run: those of the watcher, and the picture settings that it overrides."""

    model_config = ConfigDict(frozen=True)

    watcher: Watcher = Field(default_factory=Watcher)
    visualization: dict[str, Any] = Field(default_factory=dict)

    def for_batch(self, requested: Mapping[str, Any], manifest: Path) -> tuple[Visualization, tuple[str, ...]]:
        """Return the effective rendering settings for one manifest, and notes about requests that are not granted.

        Args:
            requested: `visualization` of the manifest.
            manifest: path of the manifest, for errors.

        Raises:
            ConfigError: a requested value is invalid, alone or in combination with the watcher's settings.

        """
        fields = Visualization.model_fields
        known = {name: value for name, value in requested.items() if name in fields and name not in self.visualization}
        _validated(Visualization, known, f"{manifest}: visualization.")
        merged = _validated(
            Visualization, {**known, **self.visualization}, f"{manifest}: visualization, with the watcher's settings: "
        )
        asked, notes = Visualization(**merged), [*unknown_settings(requested)]
        limits = {name: fields[name].default for name in LIMITED_BY_WATCHER if name in known}
        for name, limit in limits.items():
            if (wanted := getattr(asked, name)) > limit:
                asked = asked.model_copy(update={name: limit})
                how = "only the watcher's configuration can raise it"
                notes.append(f"the batch asks for {name}: {wanted:g}; {limit:g} is used, because {how}")
        return asked, tuple(notes)


def unknown_settings(requested: Mapping[str, Any]) -> list[str]:
    """Return a note about the requested names that are no settings of pictures; none if there are no such names."""
    unknown = [name for name in requested if name not in Visualization.model_fields]
    names = ", ".join(repr(shortened(name, _MOST_OF_A_VALUE)) for name in unknown[:_MOST_NAMES])
    rest = len(unknown) - _MOST_NAMES
    if len(unknown) == 1:
        return [f"the batch asks for the unknown setting {names}; it is ignored"]
    more = f" and {rest:,} more" if rest > 0 else ""
    return [f"the batch asks for the unknown settings {names}{more}; they are ignored"] if unknown else []


def _flag_name(name: str) -> str:
    return "--workers" if name == "workers" else f"--set {name}"


def load_settings(
    config: Path | None,
    flags: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    *,
    spell_flag: Callable[[str], str] = _flag_name,
) -> Settings:
    """Merge the configuration file, the environment and the flags.

    Args:
        config: path of the configuration file, if any.
        flags: values by setting name.
        environment: environment variables.
        spell_flag: returns the flag of a setting as the user typed it, for errors.

    Raises:
        ConfigError: a setting is unknown or invalid; names its source, the value and what was expected.

    """
    watcher: dict[str, Any] = {}
    visualization: dict[str, Any] = {}
    layers = [("", dict(flags)), ("environment variable ", _from_environment(environment))]
    if config is not None:
        file_watcher, file_visualization = _from_file(config)
        watcher.update(file_watcher)
        visualization.update(file_visualization)
    for prefix, layer in reversed(layers):
        own = {name: value for name, value in layer.items() if name in Watcher.model_fields}
        pictures = {name: value for name, value in layer.items() if name not in own}
        spell = _environment_name if prefix else spell_flag
        watcher.update(_validated(Watcher, own, prefix, spell))
        visualization.update(_validated(Visualization, pictures, prefix, spell))
    return Settings(watcher=Watcher(**watcher), visualization=visualization)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings in the environment variables, with values parsed as YAML."""
    names = {_environment_name(name): name for name in (*Watcher.model_fields, *Visualization.model_fields)}
    for variable in environment:
        is_unknown = variable.startswith(ENVIRONMENT_PREFIX) and variable not in names
        if is_unknown and (found := nearest(variable, names, cutoff=0.85)):
            raise ConfigError(f"environment variable {variable}: found an unknown setting; did you mean {found[0]}?")
    return {name: parse_value(environment[variable]) for variable, name in names.items() if variable in environment}


def parse_value(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """Parse a value as YAML: `5`, `true`, `null`, `[12, 8]`, `viridis`."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _environment_name(name: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def _from_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    document = _read_yaml(path)
    blocks = {*ATTENTION_BLOCKS, "watcher", *GENERATOR_BLOCKS}
    for key in document:
        if key not in blocks:
            raise ConfigError(f"{path}: found the unknown key {key!r}; {did_you_mean(str(key), sorted(blocks))}")
    watcher = _validated(Watcher, _block(path, document, "watcher"), f"{path}: watcher.")
    present = [name for name in ATTENTION_BLOCKS if name in document]
    if len(present) > 1:
        raise ConfigError(f"{path}: found both {present[0]} and {present[1]}; expected one of them; keep {present[0]}")
    return watcher, _attention_block(path, document, present[0]) if present else {}


def _attention_block(path: Path, document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the watcher's settings in the block: the switches, and all others one level below."""
    block = _block(path, document, name)
    params = _block(path, block, _PARAMS, f"{name}.")
    own = {key: value for key, value in block.items() if key not in GENERATOR_ATTENTION_KEYS and key != _PARAMS}
    known = [*SWITCHES, *GENERATOR_ATTENTION_KEYS, _PARAMS]
    switches = _placed(own, SWITCHES, known, f"{path}: {name}.", f"expected in {name}.{_PARAMS}")
    prefix = f"{path}: {name}.{_PARAMS}."
    return {**switches, **_placed(params, _PARAM_NAMES, [*_PARAM_NAMES], prefix, f"expected in {name}")}


def _placed(
    values: dict[str, Any], names: frozenset[str], known: list[str], prefix: str, elsewhere: str
) -> dict[str, Any]:
    """Validate and return the values if all of them are settings that belong in this place."""
    for name in values:
        if name not in names and name in Visualization.model_fields:
            raise ConfigError(f"{prefix}{name}: found in the wrong place; {elsewhere}; move it there")
    return _validated(Visualization, values, prefix, known=known)


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, of which YAML would silently use the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag.endswith(":str") and first.setdefault(key.value, line) != line:
                found = f"found the key {key.value!r} in lines {first[key.value]} and {line}"
                raise yaml.YAMLError(f"{found}; expected it once; merge the two, or delete one")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506 - derived from the safe one
    except FileNotFoundError:
        raise ConfigError(f"--config: found no file {path}; expected a YAML file; check the path") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: found {type(document).__name__}; expected a mapping of blocks such as `watcher:`")
    return document


def _block(path: Path, parent: dict[str, Any], name: str, prefix: str = "") -> dict[str, Any]:
    block = parent.get(name)
    if block is None:
        return {}
    if not isinstance(block, dict):
        raise ConfigError(f"{path}: {prefix}{name}: found {block!r}; expected a mapping of settings")
    return block


def _validated(
    model: type[BaseModel],
    values: dict[str, Any],
    prefix: str,
    spell: Any = str,  # noqa: ANN401 - a function of one string, as `load_settings` takes
    known: list[str] | None = None,
) -> dict[str, Any]:
    """Check the values against the model; return them without each null that means the same as absent."""
    values = {name: value for name, value in values.items() if value is not None or _means_something(model, name)}
    try:
        model.model_validate(values)
    except ValidationError as error:
        detail = error.errors()[0]
        if not detail["loc"]:
            raise ConfigError(f"{prefix or 'flags: '}expected {detail['msg']}") from None
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            hint = did_you_mean(name, known or list(model.model_fields))
            raise ConfigError(f"{prefix}{name}: found an unknown setting; {hint}") from None
        about = model.model_fields[name].description
        is_one_of_several = len({entry["loc"] for entry in error.errors() if entry["loc"][:1] == (name,)}) > 1
        expected = "" if is_one_of_several else f"expected {detail['msg'].removeprefix('Input should be ')}; "
        found = shortened(repr(values.get(name, detail["input"])), _MOST_OF_A_VALUE)
        raise ConfigError(f"{prefix}{spell(name)}: found {found}; {expected}meaning: {about}") from None
    return values


def _means_something(model: type[BaseModel], name: str) -> bool:
    """Whether null is a valid value of a setting; true for unknown names, so that they are reported."""
    field = model.model_fields.get(name)
    return field is None or type(None) in get_args(field.annotation)
