"""`attnwatch view` as a process: what it prints, whom it answers, how it ends."""

import contextlib
import json
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support import Batch, called, wait_until, watching, write_receipt

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'attnwatch[view]'")


@contextmanager
def served(folder, log, *options):
    """Serve the page; yield its address and its process."""
    with watching("view", folder, "--port", 0, *options, log=log) as process:
        process.wait_for("http://")
        yield re.search(r"http://\S+", process.log)[0], process


def ask(url, path="", **options):
    return httpx.get(httpx.URL(url).join(path), timeout=60, trust_env=False, **options)


def finished(url):
    return sum(batch["counts"]["finished"] for batch in ask(url, "api/batches").json()["batches"])


def memory(pid):
    with Path(f"/proc/{pid}/status").open() as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


@pytest.fixture
def outputs(batch):
    return batch.folder.parent


def test_the_address_that_is_printed_answers_with_the_page_to_whoever_has_its_token(batch, outputs, tmp_path):
    batch.add_full(1)
    with served(outputs, tmp_path / "log", "--host", "0.0.0.0") as (url, _):
        here = f"http://127.0.0.1:{urlsplit(url).port}/"
        token = urlsplit(url).query
        assert re.fullmatch(r"token=[\w-]{32}", token)
        assert [ask(here, path).status_code for path in ("", "api/batches", "?token=x")] == [401] * 3
        with httpx.Client(base_url=here, trust_env=False) as browser:
            assert browser.get(f"/?{token}").headers["content-type"] == "text/html; charset=utf-8"
            wait_until(lambda: browser.get("/api/batches").json()["batches"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl+C"])
def test_a_signal_ends_the_server_and_the_streams_of_open_pages(batch, outputs, tmp_path, number, code):
    manifest = batch.add_full(1)
    with served(outputs, tmp_path / "log") as (url, process):
        wait_until(lambda: ask(url, "api/batches").json()["batches"])
        revision = ask(url, "api/batches").json()["revision"]
        with httpx.stream("GET", f"{url}api/events?after={revision}", timeout=60, trust_env=False) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry: ")
            write_receipt(manifest)
            told = next(line for line in lines if line.startswith("data: "))
            assert json.loads(told.removeprefix("data: "))["videos"][0]["state"] == "rendered"
            assert process.stop(number, 30) == code
            with contextlib.suppress(httpx.RemoteProtocolError):  # where the machine is so busy that it is broken off
                assert [line for line in lines if line.startswith("event: ")] in ([], ["event: batches"])
        assert "Traceback" not in process.log


def test_a_port_that_is_in_use_and_an_address_of_another_machine_are_named(outputs, capsys):
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        code, _, told = called(capsys, "view", outputs, "--port", other.getsockname()[1])
        assert (code, "Address already in use" in told, "--port" in told) == (2, True, True)
    code, _, told = called(capsys, "view", outputs, "--host", "192.0.2.1", "--port", 0)
    assert (code, "192.0.2.1" in told) == (2, True)


def test_a_folder_that_is_missing_and_a_token_that_is_short_are_named(outputs, tmp_path, capsys):
    assert called(capsys, "view", tmp_path / "nothing")[0] == 2
    assert "expected one" in called(capsys, "view")[2]
    (tmp_path / "token").write_text("short")
    assert "16 or more" in called(capsys, "view", outputs, "--token-file", tmp_path / "token")[2]


def test_a_missing_extra_is_named(outputs):
    # In a process of its own: modules that were imported once are what other tests replace parts of.
    program = "import sys; sys.modules['uvicorn'] = None; from attnwatch.__main__ import main; main()"
    command = [sys.executable, "-c", program, "view", str(outputs)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, "pip install 'attnwatch[view]'" in result.stderr) == (2, True)


@pytest.mark.slow
def test_ten_thousand_odd_requests_get_nothing_from_outside_and_break_nothing(batch, outputs, tmp_path):
    secret = b"nobody may read this"
    (tmp_path / "secret").write_bytes(secret)
    (tmp_path / "token").write_text("t" * 32)
    write_receipt(batch.add_full(1))
    with served(outputs, tmp_path / "log") as (url, process):
        wait_until(lambda: ask(url, "api/batches").json()["batches"])
        found = ask(url, "api/batches").json()["batches"][0]["id"]
        video = ask(url, f"api/batches/{found}").json()["videos"][0]["id"]
        port = urlsplit(url).port
        seeds = range(10_000)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda seed: _answer(port, _odd_request(random.Random(seed), found, video)), seeds))
        assert not [seed for seed in seeds if secret in answers[seed] or b"root:" in answers[seed]]
        statuses = [re.match(rb"HTTP/1.1 (\d+)", answer) for answer in answers]
        failed = [seed for seed in seeds if statuses[seed] and statuses[seed][1].startswith(b"5")]
        assert not failed, _odd_request(random.Random(failed[0]), found, video)
        assert len({status[1] for status in statuses if status}) > 4
        assert ask(url, "api/batches").status_code == 200
        assert process.process.poll() is None
        assert "Traceback" not in process.log
        assert memory(process.process.pid) < 200


def _listed(text, between=None):
    return [one.strip() for one in text.strip().split(between)]


_PATHS = _listed("""
/ /static/index.html /api/batches /api/batches/{b} /api/batches/{b}/scales/kiss /api/tables /files/{v}/video
/api/videos/{v} /api/videos/{v}/measures /api/videos/{v}/maps/kiss /files/{v}/outputs/0
""")
_PIECES = _listed("""
.. %2e%2e / %2f \\ %00 %ff secret etc/passwd % ? # ; kiss \u202e 💋 ?x=%gg &steps=each ?layers=0-99999999999 &heads=-1
&layers=1,2,3 ?after=-1 &clip=nan,inf ?clip=0,1e400
""")
_PIECES += ["9" * 5_000, "?steps=" + "9" * 5_000, "?token=" + "x" * 99, "&" * 200]
_LINES = _listed(
    """
    Host: evil.example|Host:|Range: bytes=0-|Range: bytes=-|Range: bytes=9999999999999999999-|Cookie: attnwatch=x|
    Content-Length: 5|Content-Length: -1|Transfer-Encoding: chunked|Connection: close|If-None-Match: *|If-Range: x|
    Accept-Encoding: gzip|Upgrade: websocket|Expect: 100-continue|Sec-Fetch-Site: cross-site|Bad|Range: x|X: \xff\xfe
    """,
    "|",
)
_LINES += ["X: " + "x" * 20_000, "Last-Event-ID: " + "9" * 5_000]


def _odd_request(random, batch, video):
    """Return the bytes of a request that is right, nearly right, or nonsense."""
    path = random.choice(_PATHS).format(b=batch, v=video)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        at = random.randint(1, len(path))
        path = path[:at] + random.choice(_PIECES) + path[at:]
    method = random.choice(("GET", "GET", "GET", "HEAD", "POST", "get", "\x00", "GET GET"))
    lines = [f"{method} {path} HTTP/1.{random.choice('1119')}", "Host: 127.0.0.1"]
    lines += random.sample(_LINES, random.choice((0, 0, 1, 2, 3)))
    data = "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")
    if random.random() < 0.1:
        at = random.randrange(len(data))
        data = data[:at] + bytes(random.randbytes(8)) + data[at + 8 :]
    return data


def _answer(port, request):
    """Return what a server answers, at most 1 MiB, within a second of silence."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        connection.settimeout(10)
        head = b""
        while b"\r\n\r\n" not in head and (data := connection.recv(65_536)):
            head += data
        answer = head
        size = re.search(rb"content-length: (\d+)", head)
        left = int(size[1]) - len(head.partition(b"\r\n\r\n")[2]) if size and not request.startswith(b"HEAD") else 0
        while left > 0 and len(answer) < 2**20 and (data := connection.recv(65_536)):
            answer += data
            left -= len(data)
    return answer


@pytest.mark.slow
def test_a_batch_of_a_thousand_videos_opens_at_once_and_takes_little_memory(batch, outputs, tmp_path):
    manifest = batch.add_full(1)
    document = json.loads(manifest.read_text())
    for number in range(2, 1_001):
        folder = batch.prompt(number // 20 + 1)
        folder.mkdir(exist_ok=True)
        name = f"prompt_{number // 20 + 1:03d}_vid{number:03d}"
        path = folder / f"video_{number:03d}.complete.json"
        path.write_text(json.dumps({**document, "video_id": name, "video": f"video_{number:03d}.mp4", "files": {}}))
        path.with_name(f"video_{number:03d}.mp4").hardlink_to(manifest.with_name("video_001.mp4"))
        (folder / "attention_maps").mkdir(exist_ok=True)
        maps = folder / "attention_maps" / "vid001.safetensors"
        if not maps.exists():
            maps.hardlink_to(manifest.parent / "attention_maps" / "vid001.safetensors")
        write_receipt(path)
    with served(outputs, tmp_path / "log") as (url, process):
        wait_until(lambda: finished(url) == 1_000)
        (found,) = ask(url, "api/batches").json()["batches"]
        began = time.monotonic()
        assert len(ask(url, f"api/batches/{found['id']}").json()["videos"]) == 1_000
        assert time.monotonic() - began < 1.5
        for video in ask(url, f"api/batches/{found['id']}").json()["videos"][:50]:
            assert ask(url, f"api/videos/{video['id']}/maps/kiss").status_code == 200
        assert memory(process.process.pid) < 200


@pytest.mark.slow
def test_two_hundred_slow_clients_take_neither_the_memory_nor_the_patience_of_the_others(batch, outputs, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    manifest = batch.add_full(1, files={})
    with manifest.with_name("video_001.mp4").open("ab") as video:
        video.truncate(200 * 2**20)
    for number in range(2, 300):
        batch.add_full(number, generation={"prompt": "a kiss " * 2_000})
    with served(outputs, tmp_path / "log") as (url, process), contextlib.ExitStack() as clients:
        wait_until(lambda: finished(url) == 299)
        found = ask(url, "api/batches").json()["batches"][0]["id"]
        first = ask(url, f"api/batches/{found}").json()["videos"][0]["id"]
        asked = (f"/files/{first}/video", f"/api/batches/{found}", "/api/events?after=0", None)
        for number in range(200):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port), 30))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            path = asked[number % len(asked)]
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() if path else b"GET / HT")
        began = time.monotonic()
        for _ in range(20):
            assert ask(url, "api/batches").status_code == 200
        assert time.monotonic() - began < 20
        manifest.with_name("video_900.mp4").touch()
        batch.add_full(900)
        wait_until(lambda: finished(url) == 300, 30)
        assert memory(process.process.pid) < 200
        assert process.stop(signal.SIGTERM, 30) == 0
        assert "Traceback" not in process.log
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
