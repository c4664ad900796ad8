"""Which denoising steps, layers or heads are selected."""

from collections.abc import Sequence

from attnwatch.errors import ConfigError

Choice = int | str | tuple[int, ...] | None
"""One (negative numbers count from the end), a range such as `"3-9"` with both ends, several, or all."""


def selected(axis: str, choice: Choice, available: Sequence[int]) -> list[int]:
    """Return the positions of the selected numbers among the available ones.

    Args:
        axis: `steps`, `layers` or `heads`, for errors.
        choice: see `Choice`; None selects all.
        available: numbers of what is stored, in order.

    Raises:
        ConfigError: a selected one is not stored.

    """
    if choice is None:
        return list(range(len(available)))
    if isinstance(choice, str):
        first, last = map(int, choice.split("-"))
        positions = [position for position, number in enumerate(available) if first <= number <= last]
        # Single steps may be left out of what is stored, layers and heads are not.
        is_missing = not positions or (axis != "steps" and last not in available)
    else:
        wanted = [choice] if isinstance(choice, int) else list(choice)
        wanted = [available[number] if -len(available) <= number < 0 else number for number in wanted]
        positions = [position for position, number in enumerate(available) if number in wanted]
        is_missing = not wanted or not set(wanted) <= set(available)
    if is_missing:
        raise ConfigError(f"{axis}: found {choice!r}; expected some of the stored ones: {_formatted(available)}")
    return positions


def _formatted(numbers: Sequence[int]) -> str:
    if len(numbers) > 1 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))
