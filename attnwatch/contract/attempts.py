"""Attempts: which failed attempts a receipt remembers, and for which renderings they count.

They are remembered as long as the input is the same, with the settings of each. Otherwise watchers with different
settings would make each other forget them, and would try a broken video for ever.
"""

from attnwatch.contract.documents import ReceiptDocument, RenderingAttempt
from attnwatch.contract.fingerprint import Fingerprint, settings_sha256_of
from attnwatch.errors import shortened

LONGEST_ERROR = 4000  # characters of the error of an attempt
_LONGEST_OLD_ERROR = 200
_MOST, _RECENT = 1000, 10


def failures_at(receipt: ReceiptDocument, fingerprint: Fingerprint) -> tuple[RenderingAttempt, ...]:
    """Return the failed attempts in a receipt that count for a rendering: with its settings, or with wrong files."""
    if not fingerprint.has_input_of(receipt):
        return ()
    return tuple(attempt for attempt in _failures(receipt) if counts_for(attempt, fingerprint))


def counts_for(attempt: RenderingAttempt, fingerprint: Fingerprint) -> bool:
    """Whether a failed attempt at the same input says something about a rendering."""
    return attempt.input_error or attempt.settings_sha256 == fingerprint.settings_sha256


def _failures(receipt: ReceiptDocument) -> list[RenderingAttempt]:
    """Return the failed attempts in a receipt that still count.

    A success ends the history of its own settings, and shows that the files are not wrong. Earlier versions recorded
    no settings with an attempt: it was made with those of the receipt.
    """
    own = {"settings_sha256": settings_sha256_of(receipt), "next_attempt": receipt.next_attempt}
    attempts = [a if a.settings_sha256 is not None else a.model_copy(update=own) for a in receipt.attempts]
    failed = [attempt for attempt in attempts if attempt.error is not None]
    if receipt.status == "failed":
        return failed
    return [a for a in failed if not a.input_error and a.settings_sha256 != own["settings_sha256"]]


def earlier_failures(before: ReceiptDocument | None, fingerprint: Fingerprint) -> tuple[RenderingAttempt, ...]:
    """Return the failed attempts to keep in the next receipt: those at the same input, whatever their settings."""
    if before is None or not fingerprint.has_input_of(before):
        return ()
    kept = _failures(before)
    older, recent = kept[-_MOST:-_RECENT], kept[-_RECENT:]
    return (*(_cut(attempt, _LONGEST_OLD_ERROR) for attempt in older), *(_cut(a, LONGEST_ERROR) for a in recent))


def _cut(attempt: RenderingAttempt, most: int) -> RenderingAttempt:
    return attempt.model_copy(update={"error": shortened(attempt.error or "", most)})
