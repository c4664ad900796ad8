"""Makes one video, and says whether that worked."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from generator.batch.documents import write_failure
from generator.batch.interrupt import Stopped, StopRequest
from generator.batch.leases import LeaseLost
from generator.batch.make_video import make_video
from generator.batch.plan import PlannedVideo
from generator.batch.prepare import PreparedBatch
from generator.batch.progress import BatchProgress
from generator.errors import CaptureError, PipelineError, VideoError
from generator.models.memory import recover
from generator.outputs.files import confirmed

log = logging.getLogger(__name__)

# After these, the batch continues with the next video. Any other exception ends the batch.
VIDEO_FAILURES = (CaptureError, PipelineError, VideoError, MemoryError)


def attempt(
    batch: PreparedBatch,
    folder: Path,
    video: PlannedVideo,
    progress: BatchProgress,
    stop: StopRequest,
    *,
    confirm: Callable[[], None] = lambda: None,
) -> bool:
    """Make one video, with which ``progress`` has begun; return False if it failed or was abandoned.

    ``confirm`` raises LeaseLost if another process makes it now; nothing of it is written, or removed, after that.
    """

    def on_step(done: int, total: int) -> None:
        confirm()
        progress.step(done, total)
        if done < total:  # after the last step the video is nearly done: it is finished and kept
            stop.raise_if_stopped()

    began = time.monotonic()
    try:
        with confirmed(confirm):
            try:
                make_video(batch, folder, video, on_step)
            except VIDEO_FAILURES as error:
                confirm()  # a device may have failed because this process was asleep
                progress.failed(video, error)
                write_failure(folder, video, error, time.monotonic() - began)
                recover(batch.model.pipe)
                return False
    except LeaseLost:
        log.warning("%s abandoned: this process did not answer for so long that another one makes it", video.video_id)
        return False
    except Stopped:
        log.info("%s abandoned: stopped during denoising", video.video_id)
        return False
    progress.finished(video)
    return True
