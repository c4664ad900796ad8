"""Tokenises a prompt as pipelines do: padded and truncated, alone or inside a template, with character offsets."""

from typing import Any

from generator.prompts.tokens import TokenSequence


def tokenised(tokenizer: Any, text: str, length: int) -> TokenSequence:  # noqa: ANN401 - of transformers
    """Tokenise a text, padded or truncated to ``length`` tokens."""
    found = tokenizer(
        text,
        padding="max_length",
        max_length=length,
        truncation=True,
        add_special_tokens=True,
        return_offsets_mapping=True,
    )
    kept = sum(found["attention_mask"])
    is_full = kept == length
    whole = tokenizer(text, add_special_tokens=True, verbose=False)["input_ids"] if is_full else range(kept)
    return TokenSequence(
        text=text,
        ids=tuple(found["input_ids"]),
        offsets=tuple(found["offset_mapping"]),
        pieces=tuple(found.tokens()),
        length=kept,
        whole_length=len(whole),
        unknown_id=tokenizer.unk_token_id,
    )


def tokenised_between(
    tokenizer: Any,  # noqa: ANN401 - of transformers
    before: str,
    text: str,
    after: str,
    *,
    length: int,
    start: int,
) -> TokenSequence:
    """Tokenise a text inside a template, to ``length`` tokens behind the first ``start`` ones, which are left out."""
    found = tokenised(tokenizer, before + text + after, start + length)
    return TokenSequence(
        text=text,
        ids=found.ids[start:],
        offsets=tuple(_within(text, offset, len(before)) for offset in found.offsets[start:]),
        pieces=found.pieces[start:],
        length=found.length - start,
        whole_length=found.whole_length - start,
    )


def _within(text: str, offset: tuple[int, int], first: int) -> tuple[int, int]:
    """Return a token's character range relative to ``first``; ``(0, 0)`` if it lies outside ``text``."""
    start, end = max(offset[0] - first, 0), min(offset[1] - first, len(text))
    return (start, end) if start < end else (0, 0)
