"""Processes of a batch, here as threads, which meet at a real store."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from generator.batch.sharing import gathering
from generator.batch.sharing.gathering import gathered
from generator.batch.sharing.ranks import Rank
from generator.errors import SettingsError
from tests.support import free_ports, wait_until


@pytest.fixture(autouse=True)
def address(monkeypatch):
    """Where the processes of a test meet."""
    (port,) = free_ports(1)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    return f"127.0.0.1:{port}"


def together(*works):
    """Call each function with the gathering of a process of its own; return what they return or raise."""

    done = Barrier(len(works))

    def start(number, work):
        try:
            with gathered(Rank(number, len(works))) as gathering:
                result = work(gathering)
                done.wait()  # nobody takes the store away too soon
                return result
        except SettingsError as error:
            return error

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(start, range(len(works)), works))


def test_a_process_without_others_agrees_with_itself():
    with gathered(Rank()) as alone:
        alone.refuse_other({"steps": 2})
        assert alone.agree(["x"]) == ["x"]
        alone.meet()


def test_all_processes_have_what_the_first_one_says_each_time():
    def work(gathering):
        return gathering.agree("first"), gathering.agree({"second": [2]})

    def other(gathering):
        return gathering.agree(""), gathering.agree({})

    assert together(work, other, other) == [("first", {"second": [2]})] * 3


def test_the_list_of_a_million_videos_is_agreed_on():
    videos = [f"prompt_{number:06}_vid001" for number in range(500_000)]  # more than one value of the store may have
    first, second = together(lambda gathering: gathering.agree(videos), lambda gathering: gathering.agree([]))
    assert first == second == videos


def test_nobody_begins_when_one_has_planned_another_batch():
    planned = {"video.seed": 42, "video.steps": 2, "weights": {"/models/wan": "ab12"}}

    def other(gathering):
        gathering.refuse_other({**planned, "video.seed": 43, "weights": {"/models/wan": "cd34"}})

    first, second, third = together(
        lambda gathering: gathering.refuse_other(planned), other, lambda gathering: gathering.refuse_other(planned)
    )
    assert "process 1 of 3 has planned another batch than process 0: found video.seed 43, there 42; weights" in str(
        second
    )
    assert "unset RANK WORLD_SIZE LOCAL_RANK" in str(second)
    assert "process 0 of 3: process 1 ended before the batch began. Its own message says why" in str(first)
    assert "process 2 of 3: process 1 ended before the batch began." in str(third)


def test_those_who_wait_are_told_when_the_first_one_ends():
    def failing(gathering):
        raise SettingsError("no such model")

    first, second = together(failing, lambda gathering: gathering.agree([]))
    assert str(first) == "no such model"
    assert "process 1 of 2: process 0 ended before the batch began" in str(second)


def test_a_process_whose_peers_do_not_come_names_them_and_gives_up(monkeypatch, caplog, address):
    monkeypatch.setattr(gathering, "ARRIVAL", 0.5)
    monkeypatch.setattr(gathering, "_FAREWELL", 0.0)
    refused = pytest.raises(
        SettingsError, match=rf"processes 1, 2 did not arrive at {address} within .*`unset RANK WORLD_SIZE LOCAL_RANK`"
    )
    with caplog.at_level("INFO", "generator"), refused, gathered(Rank(0, 3)):
        pass
    assert f"process 0 of 3: waiting for the others at {address}" in caplog.text


def test_a_process_that_cannot_reach_the_first_one_gives_up(monkeypatch, address):
    monkeypatch.setattr(gathering, "ARRIVAL", 0.5)
    with (
        pytest.raises(SettingsError, match=f"process 1 of 2: process 0 does not answer at {address}"),
        gathered(Rank(1, 2)),
    ):
        pass


@pytest.mark.parametrize("number", [0, 1])
def test_a_name_that_no_machine_has_is_said_and_not_asked_for_on_and_on(monkeypatch, number):
    monkeypatch.setattr(gathering, "_NAMING", 0.2)
    monkeypatch.setenv("MASTER_ADDR", "gpu003.invalid")
    with (
        pytest.raises(SettingsError, match=r"no machine is known by the name in gpu003\.invalid:\d+ \(.*MASTER_ADDR"),
        gathered(Rank(number, 2)),
    ):
        pass


def test_a_process_that_is_slow_to_get_ready_is_named_while_the_others_wait(monkeypatch, caplog):
    monkeypatch.setattr(gathering, "_NOTICE", 0.0)

    def slow(gathering):
        wait_until(lambda: "waiting for process 1 to get ready" in caplog.text)
        gathering.meet()

    with caplog.at_level("INFO", "generator"):
        assert together(lambda gathering: gathering.meet(), slow) == [None, None]


def test_the_first_process_says_if_its_port_is_taken(address):
    with socket.create_server(("", int(address.partition(":")[2]))):
        refused = pytest.raises(
            SettingsError, match=r"process 0 of 2: cannot wait for the others at .*in MASTER_PORT a free"
        )
        with refused, gathered(Rank(0, 2)):
            pass


def test_without_the_address_of_the_first_process_nobody_waits(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(SettingsError, match="expected in MASTER_ADDR the machine of process 0"), gathered(Rank(0, 2)):
        pass
