"""Says which denoising steps, layers and heads a figure shows."""

from collections.abc import Iterator, Sequence

from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.choices import selected
from attnwatch.tensors.reader import WordMaps

_MOST_LISTED = 6
_SMALL = 0.01


def joined(*parts: str) -> str:
    """Return the parts that say something, in one line."""
    return " · ".join(part for part in parts if part)


def averaged(subject: Subject, word: WordMaps, *, shown: Sequence[str] = ()) -> Iterator[str]:
    """Yield what the maps of a word are the mean of; of axes that are `shown`, nothing."""
    settings = subject.settings
    if "steps" not in shown:
        yield _steps(subject, word)
    for axis, choice, length in zip(
        ("layers", "heads"), (settings.layers, settings.heads), _lengths(word), strict=True
    ):
        if axis not in shown and (choice is not None or axis in subject.asked.averaged):
            yield _some(axis, selected(axis, choice, range(length)), length)


def step_label(subject: Subject, number: int) -> str:
    """Return the number of a denoising step and, in a second line, its noise level or its time, if it is known."""
    level = _level(subject, number)
    return f"step {number}\n{level}" if level else f"step {number}"


def _lengths(word: WordMaps) -> tuple[int, int]:
    shape = word.shape
    return (1, 1) if shape is None else (shape[1], shape[2])


def _steps(subject: Subject, word: WordMaps) -> str:
    choice, numbers = subject.settings.steps, word.step_numbers
    if choice is None and len(numbers) != 1:
        return "mean over the denoising steps"
    chosen = [numbers[position] for position in selected("steps", choice, numbers)]
    if len(chosen) > 1:
        return f"mean over the steps {_listed(chosen)}"
    level = _level(subject, chosen[0])
    if choice is None and not level:  # the only one, of a writer that does not tell what it is: it may be a mean
        return ""
    return f"step {chosen[0]}, {level}" if level else f"step {chosen[0]}"


def _some(axis: str, chosen: Sequence[int], length: int) -> str:
    if len(chosen) == length > 1:
        return f"mean over the {axis}"
    if len(chosen) == 1:
        return f"{axis.removesuffix('s')} {chosen[0]}"
    return f"mean over the {axis} {_listed(chosen)}"


def _listed(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}–{numbers[-1]}"
    if len(numbers) <= _MOST_LISTED:
        return ", ".join(map(str, numbers))
    return f"{', '.join(map(str, numbers[: _MOST_LISTED - 1]))}, …, {numbers[-1]}"


def _level(subject: Subject, number: int) -> str:
    step = next((step for step in subject.manifest.document.denoising if step.index == number), None)
    if step is None or (step.sigma is None and step.timestep is None):
        return ""
    if step.sigma is None:
        return f"t = {step.timestep:.4g}"
    return f"σ = {step.sigma:.2f}" if step.sigma >= _SMALL else f"σ = {step.sigma:.1g}"
