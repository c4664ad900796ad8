"""Formats a status document as aligned text."""

import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from attnwatch.batches.discover import not_followed
from attnwatch.batches.passed import closed, unmarked
from attnwatch.contract.status_document import (
    BatchRecord,
    FailureRecord,
    PromptRecord,
    RunningRecord,
    StatusDocument,
    WatcherRecord,
)
from attnwatch.errors import shortened
from attnwatch.report.log import counted, span
from attnwatch.system.display import visible

_MOST_LISTED = 10
_LONGEST_LINE = 1_000  # characters


def summary(status: StatusDocument, *, verbose: bool = False) -> str:
    """Return a status as lines of text, without a final newline; `verbose` lists all batches and their prompts."""
    return "\n".join(visible(shortened(line, _LONGEST_LINE)) for line in _lines(status, verbose=verbose))


def _lines(status: StatusDocument, *, verbose: bool) -> Iterator[str]:
    videos = status.videos
    yield f"{status.root}: {videos.finished:,} finished video{'' if videos.finished == 1 else 's'}"
    about = {
        "rendered": _rate(status),
        "skipped": "nothing to render" if videos.skipped else "",
        "running": ", ".join(_running(record, status.at) for record in status.running[:_MOST_LISTED]),
        "waiting": _oldest(status.oldest_waiting, status.at),
        "failed": "",
    }
    width = max(len(f"{getattr(videos, state):,}") for state in about)
    for state, text in about.items():
        yield f"  {state:<10}{getattr(videos, state):>{width},}   {text}".rstrip()
        if state == "rendered" and status.outdated:
            again = f"attnwatch render --outdated {shlex.quote(status.root)}"
            yield f"    {status.outdated:,} by an older renderer, which stay as they are; to make them anew: {again}"
        yield from _reasons(status, state)
    yield from _some([f"    {_failure(failure, status.at)}" for failure in status.failures], "--json")
    yield from _batches(status, verbose=verbose)
    yield from _passed(status)
    yield from (f"  {'watcher':<10}{_watcher(watcher, status.at)}" for watcher in status.watchers)
    if not status.watchers:
        single = "; a single run, as with --once, is rendering" if status.running else ""
        yield f"  {'watcher':<10}none running here{single}"
    for watcher in status.watchers:
        yield from (f"    not rendered by pid {watcher.pid}: {reason}" for reason in watcher.left_out)


def _reasons(status: StatusDocument, state: str) -> Iterator[str]:
    """Yield why videos are in a state: in one line for those without a reason of their own, then each of the others."""
    shared = [record for record in status.reasons if record.state == state]
    for reason in shared[:_MOST_LISTED]:
        own = [r for r in status.unrendered if r.state == state and r.reason.startswith(f"{reason.reason}: ")]
        if own:
            lines = [f"    {record.video_id}: {record.reason}" for record in own]
            yield from _some(lines, "--json", reason.videos)
        else:
            yield f"    {counted(reason.videos, 'video')}: {reason.reason}"
    if len(shared) > _MOST_LISTED:
        yield f"    and {len(shared) - _MOST_LISTED:,} more reasons: --json lists them"
    if state != "waiting" or not shared:
        return
    if not status.watchers and not status.running:  # else a run with `--once` is at work
        yield f"    no watcher runs here: start `attnwatch {shlex.quote(status.root)}`"
    elif status.watchers and all(watcher.paused for watcher in status.watchers):
        yield "    every watcher here pauses: see below"


def _some(lines: list[str], option: str, number: int = 0) -> Iterator[str]:
    """Yield the first of many lines, and how many more there are, with the option that lists them."""
    yield from lines[:_MOST_LISTED]
    if (left := max(number, len(lines)) - _MOST_LISTED) > 0:
        yield f"    and {left:,} more: {option} lists {'all' if number <= len(lines) else 'more'}"


def _batches(status: StatusDocument, *, verbose: bool) -> Iterator[str]:
    lines = []
    for batch in status.batches:
        lines.append(f"    {batch.name}: {_progress(batch, _ending(batch, status.at))}")
        if verbose:
            lines += [f"      {prompt.name}: {_progress(prompt)}" for prompt in batch.prompts]
    if lines:
        yield "  batches"
    yield from lines if verbose else _some(lines, "--verbose")


def _progress(part: BatchRecord | PromptRecord, ending: str = "") -> str:
    """Return `21 of 30 videos, interrupted, 20 rendered, 1 failed`."""
    finished = part.videos.finished
    number = counted(finished, "video") if part.planned is None else f"{finished:,} of {counted(part.planned, 'video')}"
    states = ("rendered", "skipped", "running", "waiting", "failed")
    counts = [f"{count:,} {state}" for state in states if (count := getattr(part.videos, state))]
    return ", ".join(filter(None, [number, ending, *counts]))


def _ending(batch: BatchRecord, at: str) -> str:
    if batch.ended is not None or batch.planned is None:
        return batch.ended or ""
    return f"not ended, last change {_span(batch.changed or '', at)} ago"


def _passed(status: StatusDocument) -> Iterator[str]:
    if status.linked:
        yield f"  {not_followed([Path(path) for path in status.linked])}"
    if status.unreadable:
        yield f"  {closed({Path(folder.path): folder.reason for folder in status.unreadable})}"
    if status.without_manifest:
        yield f"  {unmarked([Path(path) for path in status.without_manifest], status.without_manifest_number)}"


def _rate(status: StatusDocument) -> str:
    if status.mean_seconds is None:
        return ""
    return f"{status.rendered_last_hour:,} in the last hour; {status.mean_seconds:.1f} s each"


def _running(record: RunningRecord, at: str) -> str:
    where = f" on {record.worker}" if record.worker else ""
    return f"{record.video_id}{where}{'' if record.since is None else f' for {_span(record.since, at)}'}"


def _oldest(record: RunningRecord | None, at: str) -> str:
    if record is None or record.since is None:
        return ""
    return f"{record.video_id} for {_span(record.since, at)}"


def _failure(failure: FailureRecord, at: str) -> str:
    where = f" in the collection of {failure.collection}" if failure.collection else ""
    then = f"next attempt in {_span(at, failure.next_attempt)}" if failure.next_attempt else "given up"
    reason = " ".join(failure.reason.split())
    return f"{failure.video_id}{where}: {reason}; {counted(failure.attempts, 'attempt')}, {then}"


def _watcher(watcher: WatcherRecord, at: str) -> str:
    scans = f"{watcher.scans:,} scan{'' if watcher.scans == 1 else 's'}"
    if watcher.last_scan_seconds is not None:
        scans += f", the last in {watcher.last_scan_seconds:.1f} s"
    parts = [
        f"{watcher.host} pid {watcher.pid} for {_span(watcher.started, at)}",
        f"{watcher.mode} ({watcher.reason})" if watcher.reason else watcher.mode,
        scans,
    ]
    if watcher.overflows:
        parts.append(f"{watcher.overflows:,} overflow{'' if watcher.overflows == 1 else 's'} of file events")
    if watcher.paused:
        parts.append(f"paused: {watcher.paused}")
    if watcher.slow:
        parts.append(watcher.slow)
    if watcher.silent:
        parts.append(f"silent for {_span(watcher.heartbeat, at)}: it hangs or was stopped")
    return "; ".join(parts)


def _span(since: str, until: str) -> str:
    """Return the time between two RFC 3339 times: `12 s`, `3 min`, `2 h`, `5 d`."""
    try:
        seconds = (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return "an unknown time"
    return span(seconds)
