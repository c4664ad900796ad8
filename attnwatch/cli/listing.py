"""`attnwatch settings`: lists every setting with its value, where the value is from, its default and its meaning."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from attnwatch.config import Layer, environment_name, field_of, flag_of, place_in_file
from attnwatch.errors import ConfigError, did_you_mean
from attnwatch.settings import SETTING_NAMES, Visualization, Watcher
from attnwatch.settings.values import accepted, as_written

_HEADINGS: Mapping[str, type[BaseModel]] = {
    "Pictures; where nothing is set here, a batch can ask for other values": Visualization,
    "The watcher": Watcher,
}


def list_settings(layers: Sequence[Layer], names: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines about all settings, or about those of some names in more detail.

    Args:
        layers: every source of settings, the one that counts least first.
        names: names of settings, or parts of names.

    Raises:
        ConfigError: no setting has such a name.

    """
    if names:
        for name in _meant(names):
            yield from _about(name, layers)
            yield from _ways(name)
        return
    for number, (heading, model) in enumerate(_HEADINGS.items()):
        yield from ("", heading, "") if number else (heading, "")
        for name in model.model_fields:
            yield from _about(name, layers)


def _meant(names: Sequence[str]) -> dict[str, None]:
    meant: dict[str, None] = {}
    for name in (given.replace("-", "_") for given in names):
        found = [name] if name in SETTING_NAMES else [other for other in SETTING_NAMES if name and name in other]
        if not found:
            raise ConfigError(f"found no setting {name!r}; {did_you_mean(name, SETTING_NAMES)}")
        meant.update(dict.fromkeys(found))
    return meant


def _about(name: str, layers: Sequence[Layer]) -> Iterator[str]:
    field = field_of(name)
    if field is None:
        return
    default = value = field.get_default(call_default_factory=True)
    source = None
    for layer in layers:
        given = {**layer.watcher, **layer.visualization}
        if name in given:
            value, source = given[name], f"from {layer.spell(name)}; the default is {as_written(default)}"
    yield f"{name} = {as_written(value)}" + (f"  ({source})" if source else "")
    yield from _indented(field.description or "")


def _ways(name: str) -> Iterator[str]:
    """Yield what a setting accepts, and where it can be set."""
    field = field_of(name)
    if field is None:
        return
    flags = f"--set {name}=VALUE" + (f" or {own} VALUE" if (own := flag_of(name)) else "")
    yield from _indented(f"accepts: {accepted(field)}")
    yield from _indented(f"flag: {flags}")
    yield from _indented(f"environment: {environment_name(name)}")
    yield from _indented(f"file: {place_in_file(name)}")


def _indented(text: str) -> list[str]:
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
