"""Command line: argv -> plan -> batch -> exit code.

Exit codes: 0 the batch is complete, 1 some video failed, 2 usage, configuration or template is wrong,
130 stopped by Ctrl+C, 143 stopped by SIGTERM.

What needs torch is imported only when a batch really begins, so that help, preview and errors come at once.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console

from generator.batch.plan import Plan, plan_batch, plan_resumption, read_template
from generator.batch.progress import set_up_logging
from generator.batch.ranks import Rank
from generator.config import load_settings
from generator.errors import GeneratorError, SettingsError, UsageError
from generator.prompts.template import Variation, track
from generator.settings import Settings

FAILED, USAGE, INTERRUPTED = 1, 2, 130
PREVIEW_AT_MOST = 100
"""Variations shown of a template that has more; --max-variations shows as many as it says."""

app = App(
    name="python -m generator",
    version=lambda: version("attnwatch"),
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)

_WHAT = Group("What to generate", sort_key=1)
_VIDEO = Group("Videos (default: what the model recommends)", sort_key=2)
_MODEL = Group("Model", sort_key=3)
_ATTENTION = Group("What is kept of the attention", sort_key=4)


@dataclass(frozen=True)
class Flags:
    """Flags that are settings: each has a key in the configuration file and an environment variable too."""

    template: Annotated[
        str | None, Parameter(group=_WHAT, help="Prompt template: `[a|b]` are alternatives, `(word)` is tracked.")
    ] = None
    videos_per_variation: Annotated[
        int | None, Parameter(group=_WHAT, help="Videos of each prompt, with seeds counting up (default: 1).")
    ] = None
    max_variations: Annotated[int | None, Parameter(group=_WHAT, help="Only the first N prompts of the template.")] = (
        None
    )
    batch_name: Annotated[
        str | None, Parameter(group=_WHAT, help="How the batch's folder begins (default: batch).")
    ] = None
    output: Annotated[str | None, Parameter(group=_WHAT, help="Folder that holds batches (default: outputs).")] = None
    seed: Annotated[int | None, Parameter(group=_VIDEO, help="Seed of each prompt's first video (default: 42).")] = None
    steps: Annotated[int | None, Parameter(group=_VIDEO, help="Denoising steps.")] = None
    guidance_scale: Annotated[float | None, Parameter(group=_VIDEO, help="Classifier-free guidance.")] = None
    negative_prompt: Annotated[str | None, Parameter(group=_VIDEO, help="What to guide away from.")] = None
    width: Annotated[int | None, Parameter(group=_VIDEO, help="Pixels.")] = None
    height: Annotated[int | None, Parameter(group=_VIDEO, help="Pixels.")] = None
    frames: Annotated[int | None, Parameter(group=_VIDEO, help="Frames of each video.")] = None
    fps: Annotated[float | None, Parameter(group=_VIDEO, help="Frames per second.")] = None
    model: Annotated[
        str | None,
        Parameter(group=_MODEL, help="`tiny` (default), a folder, or a model on the Hugging Face hub."),
    ] = None
    revision: Annotated[str | None, Parameter(group=_MODEL, help="Version of a model on the hub.")] = None
    device: Annotated[str | None, Parameter(group=_MODEL, help="`auto` (default), `cpu`, `cuda` or `cuda:1`.")] = None
    dtype: Annotated[
        str | None,
        Parameter(group=_MODEL, help="`auto` (default: bfloat16 on a GPU), `float32`, `bfloat16` or `float16`."),
    ] = None
    offload: Annotated[
        str | None,
        Parameter(group=_MODEL, help="Keep on the device only the `model` at work, or `sequential`ly its layers."),
    ] = None
    vae_tiling: Annotated[bool | None, Parameter(group=_MODEL, help="Decode in tiles, in less memory.")] = None
    vae_slicing: Annotated[bool | None, Parameter(group=_MODEL, help="Decode one sample at a time.")] = None
    attention_backend: Annotated[
        str | None, Parameter(group=_MODEL, help="Attention kernel by diffusers' name, such as `flash` or `sage`.")
    ] = None
    store_attention: Annotated[
        bool | None,
        Parameter(group=_ATTENTION, help="Keep a map per denoising step (default)."),
    ] = None
    store_aggregated_attention: Annotated[
        bool | None, Parameter(group=_ATTENTION, help="Keep the mean over all steps (default).")
    ] = None
    storage_interval: Annotated[int | None, Parameter(group=_ATTENTION, help="Keep every Nth denoising step.")] = None
    storage_dtype: Annotated[str | None, Parameter(group=_ATTENTION, help="`float16` (default) or `float32`.")] = None
    spatial_downsample_factor: Annotated[
        int | None, Parameter(group=_ATTENTION, help="Keep maps of a Nth of the height and width.")
    ] = None
    store_per_block: Annotated[
        bool | None, Parameter(group=_ATTENTION, help="Keep each layer instead of their mean.")
    ] = None
    store_per_head: Annotated[bool | None, Parameter(group=_ATTENTION, help="Keep each head instead of the mean.")] = (
        None
    )
    layers: Annotated[str | None, Parameter(group=_ATTENTION, help="Only these layers, such as `0,14,29`.")] = None
    branch: Annotated[
        str | None, Parameter(group=_ATTENTION, help="Branch of guidance: `cond` (default), `uncond` or `both`.")
    ] = None
    store_reserved: Annotated[
        bool | None, Parameter(group=_ATTENTION, help="Keep the mass of padding and end of text too.")
    ] = None
    track: Annotated[
        list[str] | None,
        Parameter(group=_ATTENTION, negative="", help="Track a word that the template does not mark; repeatable."),
    ] = None
    compress_attention: Annotated[bool | None, Parameter(group=_ATTENTION, help="Compress with zstd.")] = None
    max_attention_bytes: Annotated[
        str | None, Parameter(group=_ATTENTION, help="Most bytes of one video's maps, such as `2GiB` (default: 4GiB).")
    ] = None
    self_check: Annotated[
        bool | None, Parameter(group=_ATTENTION, help="Compute a sample again in float64; the manifest has the error.")
    ] = None


@app.default
def generate(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    resume: Path | None = None,
    preview: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),
) -> int:
    """Generate videos from a prompt template and record the attention to its tracked words.

    Each flag below is also a key of the configuration file and an environment variable (GENERATOR_STEPS).
    Ctrl+C stops after the running denoising step and keeps every complete video; twice stops at once.

    Parameters
    ----------
    config
        YAML file with settings.
    resume
        Folder of a batch to go on with; nothing else is needed then.
    preview
        Print the prompts and the number of videos, and generate nothing.
    verbose
        Say more.
    flags
        Flags that are settings.

    """
    settings = load_settings(asdict(flags), os.environ, config)
    if preview:
        return _preview(settings if resume is None else plan_resumption(resume, settings).settings)
    plan = plan_batch(settings) if resume is None else plan_resumption(resume, settings)
    return _run(plan, verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit code."""
    console = Console(stderr=True)
    try:
        code: int = app(sys.argv[1:] if arguments is None else arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(console, error, USAGE)
    except UsageError as error:
        return _complain(console, error, USAGE)
    except GeneratorError as error:
        return _complain(console, error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(plan: Plan, *, verbose: bool) -> int:
    console = Console(stderr=True)
    rank = Rank.of(os.environ)
    set_up_logging(console, verbose=verbose, prefix=f"[{rank.number}] " if rank.size > 1 else "")
    try:
        from generator.batch.run import run  # noqa: PLC0415 - imports torch and diffusers, which takes seconds
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the module {error.name} is missing, which generating needs: pip install 'attnwatch[generator]'"
        ) from error
    return run(plan, console)


def _preview(settings: Settings) -> int:
    """Print each prompt with its tracked words in brackets, its choices, and how many videos there will be."""
    template = read_template(settings)
    limit = settings.video.max_variations
    total = min(template.count, limit or template.count)
    shown = min(total, limit or PREVIEW_AT_MOST)
    for variation in template.variations(shown):
        _print(_describe(track(variation, settings.attention_analysis.track)))
    if shown < total:
        _print(f"... and {total - shown:,} more")
    each = settings.video.videos_per_variation
    _print(f"{_counted(total, 'prompt')} x {_counted(each, 'video')} = {_counted(total * each, 'video')}")
    return 0


def _describe(variation: Variation) -> str:
    marks = [(span.end, ")") for span in variation.spans] + [(span.start, "(") for span in variation.spans]
    marked = variation.prompt
    for place, mark in sorted(marks, reverse=True):  # from the end, so that no place moves
        marked = f"{marked[:place]}{mark}{marked[place:]}"
    choices = ", ".join(f"{slot}: {text or 'nothing'}" for slot, text in variation.choices.items())
    return f"prompt_{variation.number:03}  {marked}" + (f"  [{choices}]" if choices else "")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _print(line: str) -> None:
    """Write data to standard output, the only place that does."""
    sys.stdout.write(f"{line}\n")


def _complain(console: Console, error: Exception, code: int) -> int:
    console.print(f"error: {error}", markup=False, highlight=False, emoji=False, soft_wrap=True)
    return code
