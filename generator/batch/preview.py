"""Describes the prompts of a batch, a line each, without loading its model."""

from itertools import islice
from pathlib import Path

from generator.batch.plan import Plan, chosen, doubts, read_prompts, tracked
from generator.prompts.template import Variation
from generator.settings import Settings

AT_MOST = 100
"""Number of prompts that are described; max_variations and sample override it."""


def describe_batch(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the prompts of a new batch and how many videos there will be, and warnings about them.

    Raises:
        UsageError: if there are no prompts, or a template cannot be parsed.

    """
    prompts, video = read_prompts(settings), settings.video
    limit = video.max_variations or video.sample
    total = min(prompts.count, limit or prompts.count)
    shown = tracked(islice(chosen(prompts, video), min(total, limit or AT_MOST)), settings)
    lines = [_describe(variation) for variation in shown]
    if len(shown) < total:
        lines.append(f"... and {total - len(shown):,} more")
    texts, images = prompts.factors if total == prompts.count else (total, 1)
    return [*lines, _sum(texts, images, video.videos_per_variation)], doubts(shown, settings)


def describe_plan(plan: Plan) -> list[str]:
    """Return the prompts of a planned batch, and how many videos it has."""
    each = plan.settings.video.videos_per_variation
    return [*map(_describe, plan.variations), _sum(len(plan.variations), 1, each)]


def _describe(variation: Variation) -> str:
    """Return a prompt with its tracked words in brackets, its choices, and what holds for it alone."""
    marks = [(span.end, ")") for span in variation.spans] + [(span.start, "(") for span in variation.spans]
    marked = variation.prompt
    for place, mark in sorted(marks, reverse=True):  # from the end, so that earlier offsets stay valid
        marked = f"{marked[:place]}{mark}{marked[place:]}"
    notes = [f"{slot}: {text or 'nothing'}" for slot, text in variation.choices.items()]
    if variation.image is not None:
        notes += [f"image: {variation.image.choice or Path(variation.image.first).name}"]
        notes += [f"last image: {Path(variation.image.last).name}"] if variation.image.last else []
    notes += [] if variation.seed is None else [f"seed: {variation.seed}"]
    notes += [] if variation.negative is None else [f"negative: {variation.negative or 'nothing'}"]
    return f"{variation.prompt_id}  {marked}" + (f"  [{', '.join(notes)}]" if notes else "")


def _sum(prompts: int, images: int, each: int) -> str:
    factors = [_counted(prompts, "prompt"), *([_counted(images, "image")] if images > 1 else [])]
    return f"{' x '.join([*factors, _counted(each, 'video')])} = {_counted(prompts * images * each, 'video')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
