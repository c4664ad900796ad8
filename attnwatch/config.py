"""Merges settings: flag > environment variable > YAML file > manifest of the batch > default.

Each layer is validated separately, so that an error names the source of the invalid value.
"""

import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from attnwatch.errors import ConfigError, did_you_mean, nearest
from attnwatch.settings import LIMITED_BY_WATCHER, SETTING_NAMES, Visualization, Watcher
from attnwatch.settings.values import parse_value
from attnwatch.validation import quoted, together, validated

ENVIRONMENT_PREFIX = "ATTNWATCH_"

_MOST_NAMES = 5  # unknown ones that a note lists

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
        "track_negative",
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
        validated(Visualization, known, f"{manifest}: visualization.")
        merged = validated(
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
    names = ", ".join(quoted(name) for name in unknown[:_MOST_NAMES])
    rest = len(unknown) - _MOST_NAMES
    if len(unknown) == 1:
        return [f"the batch asks for the unknown setting {names}; it is ignored"]
    more = f" and {rest:,} more" if rest > 0 else ""
    return [f"the batch asks for the unknown settings {names}{more}; they are ignored"] if unknown else []


def flag_of(name: str) -> str | None:
    """Return the flag of a setting's own; None if `--set` is the only one."""
    return f"--{name.replace('_', '-')}" if name in ("workers", "engine", "path_map") else None


def _flag_name(name: str) -> str:
    return flag_of(name) or f"--set {name}"


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
    merged = Layer(str)
    for layer in settings_layers(config, flags, environment, spell_flag=spell_flag):
        merged.watcher.update(layer.watcher)
        merged.visualization.update(layer.visualization)
    return Settings(watcher=Watcher(**merged.watcher), visualization=merged.visualization)


@dataclass(frozen=True)
class Layer:
    """The settings of one source, valid by themselves.

    Attributes:
        spell: returns the name of a setting as it is written in this source.
        watcher: values of settings of the watcher.
        visualization: values of settings of pictures.

    """

    spell: Callable[[str], str]
    watcher: dict[str, Any] = field(default_factory=dict)
    visualization: dict[str, Any] = field(default_factory=dict)


def settings_layers(
    config: Path | None,
    flags: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    *,
    spell_flag: Callable[[str], str] = _flag_name,
) -> list[Layer]:
    """Read every source of settings, the one that counts least first; see `load_settings`.

    Raises:
        ConfigError: what is wrong in any of them, together.

    """
    return together(
        lambda: (
            Layer(lambda _name: str(config))
            if config is None
            else Layer(lambda _name: str(config), *_from_file(config))
        ),
        lambda: _of_both(_from_environment(environment), "environment variable ", environment_name),
        lambda: _of_both(flags, "", spell_flag),
    )


def _of_both(values: Mapping[str, Any], prefix: str, spell: Callable[[str], str]) -> Layer:
    """Return the settings of a source that does not tell apart those of the watcher and of pictures."""
    own = {name: value for name, value in values.items() if name in Watcher.model_fields}
    pictures = {name: value for name, value in values.items() if name not in own}
    parts = ((Watcher, own), (Visualization, pictures))
    return Layer(spell, *together(*(partial(validated, model, part, prefix, spell) for model, part in parts)))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings in the environment variables, with values parsed as YAML."""
    names = {environment_name(name): name for name in SETTING_NAMES}
    for variable in environment:
        is_unknown = variable.startswith(ENVIRONMENT_PREFIX) and variable not in names
        if is_unknown and (found := nearest(variable, names, cutoff=0.85)):
            raise ConfigError(f"environment variable {variable}: found an unknown setting; did you mean {found[0]}?")
    return {
        name: parse_value(environment[variable], field_of(name))
        for variable, name in names.items()
        if variable in environment
    }


def place_in_file(name: str) -> str:
    """Return where a setting is in the configuration file, such as `watcher.workers`."""
    if name in Watcher.model_fields:
        return f"watcher.{name}"
    return f"{ATTENTION_BLOCKS[0]}.{name}" if name in SWITCHES else f"{ATTENTION_BLOCKS[0]}.{_PARAMS}.{name}"


def field_of(name: str) -> FieldInfo | None:
    """Return the definition of a setting; None if there is no such setting."""
    return Watcher.model_fields.get(name) or Visualization.model_fields.get(name)


def environment_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def _from_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    document = _read_yaml(path)
    blocks = {*ATTENTION_BLOCKS, "watcher", *GENERATOR_BLOCKS}
    for key in document:
        if key not in blocks:
            raise ConfigError(f"{path}: found the unknown key {key!r}; {did_you_mean(str(key), sorted(blocks))}")
    present = [name for name in ATTENTION_BLOCKS if name in document]
    if len(present) > 1:
        raise ConfigError(f"{path}: found both {present[0]} and {present[1]}; expected one of them; keep {present[0]}")
    watcher, visualization = together(
        lambda: validated(Watcher, _block(path, document, "watcher"), f"{path}: watcher."),
        lambda: _attention_block(path, document, present[0]) if present else {},
    )
    return watcher, visualization


def _attention_block(path: Path, document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the watcher's settings in the block: the switches, and all others one level below."""
    block = _block(path, document, name)
    params = _block(path, block, _PARAMS, f"{name}.")
    own = {key: value for key, value in block.items() if key not in GENERATOR_ATTENTION_KEYS and key != _PARAMS}
    known = [*SWITCHES, *GENERATOR_ATTENTION_KEYS, _PARAMS]
    switches = _placed(own, SWITCHES, known, f"{path}: {name}.", f"expected in {name}.{_PARAMS}")
    prefix = f"{path}: {name}.{_PARAMS}."
    if switches.get("auto_generate_videos") and "auto_generate_per_video" not in switches:
        switches["auto_generate_per_video"] = False  # alone, it has always meant "only at the end", as in the generator
    return {**switches, **_placed(params, _PARAM_NAMES, [*_PARAM_NAMES], prefix, f"expected in {name}")}


def _placed(
    values: dict[str, Any], names: frozenset[str], known: list[str], prefix: str, elsewhere: str
) -> dict[str, Any]:
    """Validate and return the values if all of them are settings that belong in this place."""
    for name in values:
        if name not in names and name in Visualization.model_fields:
            raise ConfigError(f"{prefix}{name}: found in the wrong place; {elsewhere}; move it there")
    return validated(Visualization, values, prefix, known=known)


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
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
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
