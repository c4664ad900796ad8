"""Both programs side by side, as in the README: they share only a folder."""

import signal
import subprocess
import sys

from tests.integration.generator_support import generated
from tests.support import environment, wait_until, watching

TEMPLATE = "a romantic (kiss) between [two men|two women|a man and woman]"
SMALL = ("--steps", "2", "--frames", "5", "--width", "64", "--height", "64")


def generator(outputs, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "generator", "--output", str(outputs), *arguments],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rendered(outputs):
    return {path.name for path in outputs.glob("*/videos/*/attention_videos/*kiss*.mp4")}


def finished(outputs):
    return list(outputs.glob("*/videos/*/video_*.complete.json"))


def expected(manifests):
    stems = {f"{path.parent.name}_vid{path.name.split('.')[0].removeprefix('video_')}" for path in manifests}
    return {f"{stem}_kiss_{kind}.mp4" for stem in stems for kind in ("attention", "overlay", "static")}


def test_a_killed_generator_leaves_every_finished_video_rendered_and_resuming_completes_the_batch(tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    what = ("--template", TEMPLATE, "--videos-per-variation", "2", "--batch-name", "demo")
    with watching(outputs, "--set", "quality=fast", log=tmp_path / "log") as watcher:
        first = generator(outputs, *what, *SMALL)
        wait_until(lambda: len(finished(outputs)) >= 2, 120, "two finished videos")
        first.send_signal(signal.SIGKILL)
        first.communicate()
        done = finished(outputs)
        assert len(done) < 6
        wait_until(lambda: rendered(outputs) == expected(done), 60, "every finished video is rendered")

        (batch,) = outputs.glob("demo_*")
        code, log = generated("--resume", batch)
        assert code == 0, log
        assert len(finished(outputs)) == 6
        wait_until(lambda: rendered(outputs) == expected(finished(outputs)), 60, "the whole batch is rendered")
        assert watcher.stop(signal.SIGTERM) == 0
    assert len(rendered(outputs)) == 6 * 3
