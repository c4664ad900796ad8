"""What is said where it is not certain which text tokens a tracked word is."""

from collections.abc import Sequence

from generator.capture.maps import UNCONDITIONAL
from generator.errors import CaptureError
from generator.prompts.tokens import TokenSequence, TrackedWord

MOST_SHOWN = 150
"""Characters of a long text that are shown of its beginning, and of its end."""


def refuse_positions_beyond(words: Sequence[TrackedWord], text_keys: int) -> None:
    """Raise CaptureError for positions that the text lacks: in joint attention, the video's tokens follow there."""
    for word in words:
        if max(word.positions) >= text_keys:
            raise CaptureError(
                f"words: found position {max(word.positions)} for {word.text!r}; expected positions from 0 to "
                f"{text_keys - 1}, because the denoising network receives {text_keys} text tokens. Pass the positions "
                "among these"
            )


def not_received(word: TrackedWord) -> str:
    """Say that a word's embeddings were not found in what the network receives."""
    return (
        f"tracked word {word.text!r}: the denoising network does not receive what the text encoder made of it, or not "
        "only once, so nothing tells which of its keys is this word. Track another word, or generate without capture"
    )


def unknown(branch: str) -> str:
    """Say that the text of a branch was not heard."""
    prompt = "the negative prompt" if branch == UNCONDITIONAL else "the prompt"
    return (
        f"the denoising network received a text for {prompt} that its pipeline's text encoder was not heard to encode, "
        "so nothing tells where its words are. Expected embeddings that were made inside the `with` block, unchanged: "
        "call the pipeline with a prompt, or call `encode_prompt` inside the block too; or give the positions of the "
        'words among the tokens, such as words={"kiss": [3, 4]}'
    )


def doubtful(word: TrackedWord, prompt: str | None, sequence: TokenSequence | None) -> str:
    """Say that the text is another than the prompt, and where a word is in it is not certain."""
    found = "which cannot be read back from its tokens" if sequence is None else f"which is {shown(sequence.text)}"
    return (
        f"tracked word {word.text!r}: the pipeline encodes another text than the prompt {prompt!r}, {found}; "
        "which of its tokens are this word is not certain. Expected the prompt as a part of it, or the word as often "
        "as in the prompt. Track another word, or pass the pipeline the text that it is to encode"
    )


def shown(text: str) -> str:
    """Return a text, a long one without its middle."""
    return repr(text if len(text) <= 2 * MOST_SHOWN else f"{text[:MOST_SHOWN]} ... {text[-MOST_SHOWN:]}")
