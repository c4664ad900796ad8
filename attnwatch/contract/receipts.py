"""Receipts: record what was rendered or failed, and decide whether and when a video must be rendered.

There is one receipt per video, in the folder of its outputs. Receipts are the watcher's only persistent state: it
renders every manifest whose receipt is missing, stale or due. A receipt that cannot be read is not missing: it may be
that of a later version, so it is left alone.

Whatever a manifest contains, its receipt can be read again: texts and lists are cut here, the paths are those of the
manifest, which is limited, and so are the words, settings and files of a video (`MAX_RECEIPT_BYTES`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from attnwatch.contract.attempts import LONGEST_ERROR, counts_for, earlier_failures, failures_at
from attnwatch.contract.backoff import Backoff
from attnwatch.contract.documents import ContentRecord, OutputRecord, ReceiptDocument, RenderingAttempt
from attnwatch.contract.fingerprint import RENDERER_VERSION, Fingerprint
from attnwatch.contract.names import RECEIPT_SUFFIX, printable
from attnwatch.contract.reading import MAX_DOCUMENT_BYTES, MAX_RECEIPT_BYTES, read_bytes, read_document
from attnwatch.contract.stamps import Stamp
from attnwatch.errors import ConfigError, ContractError, ManifestError, Problem, ReceiptError, VideoError, shortened
from attnwatch.settings import Watcher
from attnwatch.system.folders import Folder
from attnwatch.system.permissions import user
from attnwatch.system.refusals import in_words
from attnwatch.system.roots import Root

_DETERMINISTIC_ATTEMPTS = 2  # invalid input fails again; one retry in case it was read while being written
_LONGEST_WAIT, _JITTER = 3600.0, 0.1  # seconds; share of a wait by which it varies
_CLOCK_ERROR = timedelta(seconds=5)
_MOST_NOTES, _LONGEST_NOTE = 100, 500


class Stored(NamedTuple):
    """What is stored at the place of a receipt.

    Attributes:
        receipt: the receipt; None if there is none, or if it cannot be read.
        sha256: digest of its bytes, by which a change is noticed; None if there is nothing.
        problem: why it cannot be read; None if it can, or if there is nothing.

    """

    receipt: ReceiptDocument | None = None
    sha256: str | None = None
    problem: ReceiptError | None = None


NOTHING = Stored()


@dataclass(frozen=True)
class Place:
    """Location of the receipt of a video. `root`, by default the folder above, is where the user vouches for links."""

    manifest: Path
    video_id: str
    directory: Path
    root: Root | None = field(default=None, compare=False, kw_only=True)

    def seen_from(self, folder: Path) -> "Place":
        """Return the same place with paths relative to a folder; a directory outside that folder stays absolute."""
        manifest, directory = self.manifest.relative_to(folder), self.directory
        if not directory.is_relative_to(folder):
            return replace(self, manifest=manifest)
        root = self.root and self.root.seen_from(folder)
        return replace(self, manifest=manifest, directory=directory.relative_to(folder), root=root)

    def open(self, *, create: bool = False, parents: bool = False) -> Folder:
        """Open the folder of the outputs; see `Root.folder`."""
        return self._root.folder(self.directory, create=create, parents=parents)

    @cached_property
    def path(self) -> Path:
        """Path of the receipt."""
        return self.directory / f"{self.video_id}{RECEIPT_SUFFIX}"

    def look(self) -> Stored:
        """Read the receipt.

        Raises:
            OSError: something is there, but cannot be opened or read at the moment.

        """
        try:
            return Stored(*read_document(self.path, ReceiptDocument, MAX_RECEIPT_BYTES, root=self._root))
        except (FileNotFoundError, NotADirectoryError):
            return NOTHING
        except ManifestError as error:
            return Stored(None, self._digest(), unreadable(self.path, error))

    def read(self) -> ReceiptDocument | None:
        """Return the receipt; None if there is none, or if it cannot be read."""
        try:
            return self.look().receipt
        except OSError:
            return None

    def write(self, receipt: ReceiptDocument) -> None:
        """Write the receipt atomically."""
        text = receipt.model_dump_json(indent=2)
        if len(text) > MAX_DOCUMENT_BYTES // 2:  # with thousands of files, indentation is a third of it
            text = receipt.model_dump_json()
        with self.open(create=True) as folder:
            folder.write(self.path.name, text.encode() + b"\n")

    def _digest(self) -> str | None:
        """Return the digest of a file that is no valid receipt; None if it is gone."""
        try:
            return hashlib.sha256(read_bytes(self.path, MAX_RECEIPT_BYTES, root=self._root)).hexdigest()
        except FileNotFoundError:
            return None
        except ManifestError as error:  # a link, a folder or a pipe
            return hashlib.sha256(error.problems[0].found.encode()).hexdigest()

    @property
    def _root(self) -> Root:
        return self.root or Root(self.directory.parent)


def unreadable(path: Path, error: ManifestError | OSError) -> ReceiptError:
    """Return the error about a receipt that cannot be read, with what to do."""
    remedy = "it is left as it is; delete it to have the video rendered again"
    if isinstance(error, ManifestError):
        return ReceiptError(replace(error.problems[0], remedy=remedy))
    found, expected = f"that it cannot be read ({error.strerror})", f"a receipt that user {user()} can read"
    return ReceiptError(Problem(file=path, field="the file itself", found=found, expected=expected, remedy=remedy))


def seconds_until_due(receipt: ReceiptDocument | None, fingerprint: Fingerprint) -> float | None:
    """Return the number of seconds until a video must be rendered: 0 means now, None means never."""
    if receipt is None or not fingerprint.has_input_of(receipt):
        return 0.0
    if fingerprint.matches(receipt):
        last = receipt.attempts[-1].at if receipt.attempts else None  # `attnwatch retry` removes them
        return _seconds_until(receipt.next_attempt, last) if receipt.status == "failed" else None
    failures = failures_at(receipt, fingerprint)
    return _seconds_until(failures[-1].next_attempt, failures[-1].at) if failures else 0.0


def _seconds_until(due: str | None, last: str | None) -> float | None:
    """Return the seconds until a time, limited by the longest wait; None if there is none.

    Args:
        due: the time.
        last: time of the last attempt, if there was one. If that is in the future, the clock was set back, so the
            time since then is unknown.

    """
    if due is None:
        return None
    now = datetime.now(UTC)
    try:
        seconds = (datetime.fromisoformat(due) - now).total_seconds()
        if last is not None and datetime.fromisoformat(last) - now > _CLOCK_ERROR:
            return 0.0
    except (ValueError, TypeError):
        return 0.0
    return min(_LONGEST_WAIT, max(0.0, seconds))


Content = Mapping[str, ContentRecord]
_NOTHING: Content = MappingProxyType({})


def record_content(stamps: Mapping[str, Stamp | None], digests: Mapping[str, str]) -> Content:
    """Return the records of the files that exist; their digests may be missing."""
    return {
        name: ContentRecord(modified=stamp.modified, changed=stamp.changed, sha256=digests.get(name))
        for name, stamp in stamps.items()
        if stamp is not None
    }


def is_untouched(receipt: ReceiptDocument, stamps: Mapping[str, Stamp | None]) -> bool:
    """Whether the times of all existing files are those in the receipt."""
    for name, record in receipt.content.items():
        stamp = stamps.get(name)
        if stamp is not None and (stamp.modified, stamp.changed) != (record.modified, record.changed):
            return False
    return True


def is_known(receipt: ReceiptDocument, stamps: Mapping[str, Stamp | None]) -> bool:
    """Whether the receipt has the digest of all existing files."""
    known = (receipt.content.get(name) for name, stamp in stamps.items() if stamp is not None)
    return all(record is not None and record.sha256 is not None for record in known)


def is_same_content(receipt: ReceiptDocument, digests: Mapping[str, str]) -> bool:
    """Whether the digests of all existing files are those in the receipt."""
    return digests.items() <= {name: record.sha256 for name, record in receipt.content.items()}.items()


def success(
    place: Place,
    fingerprint: Fingerprint,
    outputs: tuple[OutputRecord, ...],
    notes: tuple[str, ...],
    seconds: float,
    *,
    content: Content = _NOTHING,
) -> ReceiptDocument:
    """Return the receipt of a video that was rendered, or that had nothing to render."""
    attempt = _attempt(fingerprint, seconds)
    return _receipt(
        place,
        fingerprint,
        status="rendered" if outputs else "skipped",
        outputs=outputs,
        notes=_bounded(notes),
        attempts=(*earlier_failures(place.read(), fingerprint), attempt),
        content=dict(content),
    )


def failure(
    place: Place,
    fingerprint: Fingerprint,
    error: BaseException,
    seconds: float,
    limits: Watcher,
    *,
    content: Content = _NOTHING,
) -> ReceiptDocument:
    """Return the receipt of a failed attempt, with the time of the next attempt if there is one."""
    before = place.read()
    earlier = earlier_failures(before, fingerprint)
    input_error = isinstance(error, ContractError)
    counted = [a for a in earlier if input_error or counts_for(a, fingerprint)]
    most = min(limits.max_attempts, _DETERMINISTIC_ATTEMPTS) if is_deterministic(error) else limits.max_attempts
    due = None
    if len(counted) + 1 < most:
        wait = Backoff(limits.retry_backoff, _LONGEST_WAIT, _JITTER).wait(len(counted) + 1)
        due = (_now() + timedelta(seconds=wait)).isoformat()
    attempt = _attempt(fingerprint, seconds, error=describe(error), input_error=input_error, next_attempt=due)
    existing = {"outputs": before.outputs, "measures": before.measures} if before is not None else {}
    return _receipt(  # with what exists, because it may have to be removed later
        place,
        fingerprint,
        status="failed",
        attempts=(*earlier, attempt),
        next_attempt=due,
        content=dict(content),
        **existing,
    )


def is_deterministic(error: BaseException) -> bool:
    """Whether the same input would fail in the same way again."""
    return isinstance(error, (ConfigError, ContractError, VideoError))


def describe(error: BaseException, folder: Path | None = None) -> str:
    """Return the message of an error, preceded by its type if it is neither of this package nor of the system.

    Args:
        error: the error.
        folder: paths below it are given relative to it; None to leave them as they are.

    """
    text = printable(in_words(error) if isinstance(error, OSError) else str(error))
    text = text if folder is None else text.replace(f"{printable(str(folder))}/", "")
    text = shortened(text, LONGEST_ERROR) or "no message"
    known = isinstance(error, OSError) or type(error).__module__.startswith("attnwatch")
    return text if known else f"{type(error).__name__}: {text}"


def _attempt(fingerprint: Fingerprint, seconds: float, **fields: Any) -> RenderingAttempt:  # noqa: ANN401 - model fields
    at, settings = _now().isoformat(), fingerprint.settings_sha256
    return RenderingAttempt(at=at, seconds=round(seconds, 3), settings_sha256=settings, **fields)


def _receipt(place: Place, fingerprint: Fingerprint, **fields: Any) -> ReceiptDocument:  # noqa: ANN401 - model fields
    return ReceiptDocument(
        video_id=place.video_id,
        manifest=printable(place.manifest.name),
        manifest_sha256=fingerprint.manifest_sha256,
        settings_sha256=fingerprint.settings_sha256,
        settings=fingerprint.settings,
        renderer=RENDERER_VERSION,
        inputs=fingerprint.inputs,
        **fields,
    )


def _bounded(notes: Iterable[str]) -> tuple[str, ...]:
    notes = [shortened(printable(note), _LONGEST_NOTE) for note in notes]
    rest = len(notes) - _MOST_NOTES
    return tuple(notes) if rest <= 0 else (*notes[:_MOST_NOTES], f"and {rest:,} more notes")


def _now() -> datetime:
    return datetime.now(UTC)
