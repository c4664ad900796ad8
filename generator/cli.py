"""Command line: argv -> plan -> batch -> exit code.

Exit codes: 0 the batch is complete, 1 a video failed, 2 wrong usage, configuration or template, 130 stopped by Ctrl+C,
143 stopped by SIGTERM.

Modules that need torch are imported only when a batch starts, so that help, previews and errors appear at once.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from inspect import Parameter as Argument
from inspect import signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import App, CycloptsError, Group, Parameter
from pydantic import ByteSize
from pydantic.fields import FieldInfo
from rich.console import Console

from generator.batch.claiming.joining import Planned, plan_joining, refuse_no_place
from generator.batch.plan import BATCH_FILE, Plan, plan_batch
from generator.batch.preview import describe_batch, describe_plan
from generator.batch.progress import set_up_logging
from generator.batch.resumption import plan_resumption
from generator.batch.sharing.ranks import Rank
from generator.config import NAMES, Place, field_of, flag_of, load_settings
from generator.errors import GeneratorError, SettingsError, UsageError
from generator.models.sources import INDEX
from generator.settings import Settings

FAILED, USAGE, INTERRUPTED = 1, 2, 130

app = App(
    name="python -m generator",
    version=lambda: version("attnwatch"),
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)

_WHAT = Group("What to generate", sort_key=1)
_GROUPS = {
    "video": Group("Videos (by default as the model recommends)", sort_key=2),
    "model": Group("Model", sort_key=3),
    "attention_analysis": Group("Stored attention", sort_key=4),
}
_COUNTS = ("image", "last_image", "images", "videos_per_variation", "max_variations", "sample", "sample_seed", "order")
"""Settings of the video block that say which videos there are, not what they look like."""
WITHOUT_FLAG = ("guidance_scale_2", "flow_shift")
"""Settings of single model families, which belong in the family's configuration file."""
AS_TEXT = ("max_area",)
"""Numbers that may be written in another way, too."""
REPEATABLE = ("image", "last_image", "track", "track_negative", "lora", "embeddings")
"""Lists whose flag is repeated, because a comma may be part of an item."""


def generate(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    resume: Path | None = None,
    claim: Path | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
    preview: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
    **settings: object,
) -> int:
    """Generate videos from prompt templates and record the attention to their tracked words.

    Each flag below is also a key of the configuration file and an environment variable (GENERATOR_STEPS).
    Ctrl+C stops after the current denoising step and keeps every complete video; a second one stops at once.

    Parameters
    ----------
    config
        YAML file with settings.
    resume
        Folder of a batch to complete; no other flag is needed.
    claim
        Folder of a batch that any number of processes make together, on any number of machines, started at any time:
        each takes the next video that nobody makes. The first one creates it; to join, no other flag is needed.
    verify
        With --resume or --claim: compare the digest of every file, not only sizes; make damaged videos again.
    preview
        Print the prompts, the number of videos and what the run would refuse, without generating anything.
    verbose
        Log more details.
    **settings
        Flags that were given, by the names in `NAMES`.

    """
    merged = load_settings(settings, os.environ, config)
    _refuse_together(settings, resume=resume, claim=claim, verify=verify)
    if preview:
        return _preview(merged, resume, claim)
    if claim is not None:
        return _run(partial(plan_joining, claim, merged, verify=verify), verbose=verbose)
    plan = plan_batch(merged) if resume is None else plan_resumption(resume, merged, verify=verify)
    return _run(plan, verbose=verbose)


def _refuse_together(flags: Mapping[str, object], *, resume: Path | None, claim: Path | None, verify: bool) -> None:
    """Raise SettingsError for flags one of which would be ignored."""
    if resume is not None and claim is not None:
        raise SettingsError(
            f"found --resume {resume} and --claim {claim}; expected one. --claim continues a batch, too; --resume "
            "does so alone, and also tries again what has failed several times"
        )
    if verify and resume is None and claim is None:
        raise SettingsError("found --verify; expected --resume or --claim with it. A new batch has no files to compare")
    for name in ("output", "batch_name"):
        if claim is not None and name in flags:
            raise SettingsError(
                f"found --claim {claim} and {flag_of(name)} {flags[name]}; expected one. --claim names the very folder "
                "of the batch, such as outputs/kiss"
            )


def _with_flags(function: Callable[..., int]) -> Callable[..., int]:
    """Replace the ``**settings`` of ``function``, as cyclopts sees it, with one parameter for each setting."""
    shown = signature(function)
    named = [argument for argument in shown.parameters.values() if argument.kind is not Argument.VAR_KEYWORD]
    flags = [_flag(name, place) for name, place in NAMES.items() if name not in WITHOUT_FLAG]
    function.__signature__ = shown.replace(parameters=[*named, *flags])  # type: ignore[attr-defined]
    return function


def _flag(name: str, place: Place) -> Argument:
    kind = list[str] if name in REPEATABLE else str if name in AS_TEXT else _simple_type(field_of(place).annotation)
    group = _WHAT if name in _COUNTS else _GROUPS.get(place.block, _WHAT)
    parameter = Parameter(group=group, help=_help(name, field_of(place)), negative_iterable="")
    return Argument(name, Argument.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, parameter])


def _help(name: str, field: FieldInfo) -> str:
    meaning = field.description or ""
    notes = ["repeatable"] if name in REPEATABLE else []
    if field.default:  # neither None nor False nor empty
        size = field.default.human_readable().replace(".0", "") if isinstance(field.default, ByteSize) else None
        notes.append(f"default: {size or ('on' if field.default is True else field.default)}")
    return f"{meaning[:1].upper()}{meaning[1:]}{' (' + ', '.join(notes) + ')' if notes else ''}."


def _simple_type(annotation: Any) -> type:  # noqa: ANN401 - any type hint
    """Return bool, int or float if a setting is of that type; else text, which `load_settings` parses."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation if annotation in (bool, int, float) else str


app.default(_with_flags(generate))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (None: the arguments of this process) and return the exit code."""
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


def _run(plan: Plan | Planned, *, verbose: bool) -> int:
    """Make the videos of a plan; of one that is called for because other processes may make it first, together."""
    console = Console(stderr=True)
    rank = Rank.of(os.environ)
    set_up_logging(console, verbose=verbose, prefix=f"[{rank.number}] " if rank.size > 1 else "")
    try:
        from generator.batch.claiming.process import run_claiming  # noqa: PLC0415 - imports torch and diffusers: seconds
        from generator.batch.run import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"generation needs the module {error.name}, which is not installed: pip install 'attnwatch[generator]'"
        ) from error
    return run(plan, console) if isinstance(plan, Plan) else run_claiming(plan, console)


def _preview(settings: Settings, resume: Path | None, claim: Path | None) -> int:
    """Print the prompts of a batch; raise what the run would raise, as far as that is known without the model."""
    begun = claim if claim is not None and (claim / BATCH_FILE).exists() else resume
    if begun is not None:
        plan = plan_resumption(begun, settings)
        _print(*describe_plan(plan))
        with _as_the_run():
            _check_device(plan.settings)
        return 0
    if claim is not None:
        refuse_no_place(claim, settings)
    lines, warnings = describe_batch(settings)
    for warning in warnings:
        _say(Console(stderr=True), f"warning: {warning}")
    _print(*lines)
    with _as_the_run():
        _check_device(settings)
        _check_outline(plan_batch(settings))
    return 0


@contextmanager
def _as_the_run() -> Iterator[None]:
    """Say of what is refused in the context that the run would refuse it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"the run would refuse this: {error}") from error


def _check_device(settings: Settings) -> None:
    """Check the device and what is to be moved off it; without either, a preview does not import torch."""
    model = settings.model
    if model.device in ("auto", "cpu") and model.offload == "none":
        return
    try:
        from generator.models.device import device_of  # noqa: PLC0415 - imports torch
    except ModuleNotFoundError:
        return
    device_of(model)


def _check_outline(plan: Plan) -> None:
    """Check what is asked of a model in a folder, whose weights are not needed for that.

    Without it, that is left to the run: the embedded model, for which a preview does not import torch; models of the
    hub; and textual inversions, which change the vocabulary.
    """
    model = plan.settings.model
    if not Path(model.id, INDEX).is_file() or model.embeddings:
        return
    try:
        from generator.batch.prepare import prepare  # noqa: PLC0415 - imports torch and diffusers
        from generator.models.load import load_outline  # noqa: PLC0415
    except ModuleNotFoundError:
        return
    outline = load_outline(model, plan.given)
    if outline is not None:
        prepare(plan, outline)


def _print(*lines: str) -> None:
    """Write lines of results to standard output; everything else goes to standard error."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _complain(console: Console, error: Exception, code: int) -> int:
    _say(console, f"error: {error}")
    return code


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
