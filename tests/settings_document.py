"""Generate SETTINGS.md from the settings models of both programs (``make settings``)."""

import sys
from collections.abc import Iterable, Iterator

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from attnwatch import settings as watcher
from generator.cli import WITHOUT_FLAG
from generator.config import NAMES, field_of

PICTURES = "Pictures"
WATCHER = "The watcher"
GENERATOR = "The generator"

HEAD = f"""\
<!-- Generated from the settings models of both programs by `make settings`; edit those instead. -->
# Settings

- [{PICTURES}](#pictures): what attnwatch renders, and how it looks
- [{WATCHER}](#the-watcher): how attnwatch works
- [{GENERATOR}](#the-generator): what the generator makes and stores

A setting takes the first value that is found in this order:

1. a flag
2. an environment variable
3. the YAML file given with `--config`
4. for pictures only: the request that the batch carries in its manifests
5. the default

Both programs read the same file, each its own blocks: [an example](configs/attention_visualization_demo.yaml).
In the file, `null` counts as absent, with two exceptions: `memory_limit: null` lifts the limit, and `null` for a
picture setting whose default is `null` overrides the request of the batch. Sizes take units (`500MiB`, `2GiB`).
In flags and environment variables of attnwatch, several numbers need no brackets: `figsize=12x8`, `clip=1,99`.
`attnwatch settings` lists all settings of attnwatch with their values, and where these are from.
A wrong value or an unknown name in the file or a flag, and an environment variable that looks like a misspelt one,
are errors that say where they are.
"""

PICTURES_HEAD = """\
- File: `auto_generate_per_video` and `auto_generate_videos` are keys of `attention_analysis:`, all others of
  `attention_analysis: visualization_params:`. The generator copies them into the manifests of the batch.
- Flag of `attnwatch`: `--set NAME=VALUE`, repeatable.
- Environment variable: `ATTNWATCH_` and the name in capitals, such as `ATTNWATCH_COLORMAP`.
"""

WATCHER_HEAD = """\
- File: keys of `watcher:`.
- Flag of `attnwatch`: `--set NAME=VALUE`, repeatable; for `workers` also `--workers N` or `-j N`.
- Environment variable: `ATTNWATCH_` and the name in capitals, such as `ATTNWATCH_WORKERS`.
"""

GENERATOR_HEAD = f"""\
- File: keys of `model:`, `video:` and `attention_analysis:` (in older files `attention_analysis_settings:`), or of the
  file itself, as the names below show.
- Flag of `python -m generator`: `--` and the last part of the name with dashes, such as `--storage-dtype`; `--model`
  for `model.id`. `--no-store-attention` and the like set `false`.
  {" and ".join(f"`{name}`" for name in WITHOUT_FLAG)} have no flag.
- Environment variable: `GENERATOR_` and the last part of the name in capitals, such as `GENERATOR_STORAGE_DTYPE`;
  `GENERATOR_MODEL` for `model.id`.
- In flags and environment variables, lists are separated by commas (`0,14,29`); the flag `--track` is repeated instead.
- Where a `video` setting is `null`, the model's recommended value is used, unless the meaning says otherwise.
"""

Row = tuple[str, FieldInfo]


def document() -> str:
    """Return the whole of SETTINGS.md."""
    generator = [(str(place), field_of(place)) for place in NAMES.values()]
    parts = [
        HEAD,
        *_section(PICTURES, PICTURES_HEAD, watcher.Visualization.model_fields.items()),
        *_section(WATCHER, WATCHER_HEAD, watcher.Watcher.model_fields.items()),
        *_section(GENERATOR, GENERATOR_HEAD, generator),
    ]
    return "\n".join(parts)


def _section(title: str, head: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f"## {title}\n"
    yield head
    yield "| setting | default | meaning |\n| --- | --- | --- |"
    yield (
        "\n".join(f"| `{name}` | {_default(field)} | {_cell(field.description or '')} |" for name, field in rows) + "\n"
    )


def _default(field: FieldInfo) -> str:
    """Return a default as it is written in YAML."""
    value = field.default
    if field.default_factory is not None:
        return "half of the cores"
    if value is None:
        return "`null`"
    if isinstance(value, ByteSize):
        return f"`{value.human_readable().replace('.0', '')}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(document())
