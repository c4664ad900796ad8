import socket

import pytest
import torch

from generator.batch import ranks
from generator.batch.ranks import Rank
from generator.errors import SettingsError


def test_without_a_launcher_there_is_one_process():
    rank = Rank.of({"HOME": "/"})
    assert (rank, rank.is_first) == (Rank(0, 1, 0), True)
    assert rank.agree("anything") == "anything"
    rank.meet()


def test_the_rank_is_read_from_the_variables_of_a_launcher():
    rank = Rank.of({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert (rank.number, rank.size, rank.local, rank.is_first) == (5, 8, 1, False)


def test_rank_variables_that_are_not_numbers_are_refused():
    with pytest.raises(SettingsError, match=r"RANK, WORLD_SIZE, LOCAL_RANK: expected numbers; .*'first'"):
        Rank.of({"RANK": "first"})


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "1"},
        {"LOCAL_RANK": "1"},
        {"WORLD_SIZE": "0"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
    ],
)
def test_rank_variables_that_contradict_each_other_are_refused(variables):
    with pytest.raises(SettingsError) as caught:
        Rank.of(variables)
    for name, value in variables.items():
        assert f"{name}={value}" in str(caught.value)
    assert "unset RANK LOCAL_RANK WORLD_SIZE" in str(caught.value)


def test_a_process_whose_peers_do_not_come_says_whom_it_waits_for_and_gives_up(monkeypatch, caplog):
    monkeypatch.setattr(ranks, "PATIENCE", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", port)
    refused = pytest.raises(SettingsError, match=r"the others did not arrive at .*`unset RANK LOCAL_RANK WORLD_SIZE`")
    with caplog.at_level("INFO"), refused:
        Rank(0, 2).join()
    assert f"process 0 of 2: waiting for the others at 127.0.0.1:{port}" in caplog.text


def test_without_the_address_of_the_first_process_nobody_waits(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(SettingsError, match="MASTER_ADDR"):
        Rank(0, 2).join()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_item_belongs_to_exactly_one_process(size):
    items = list(range(17))
    shares = [list(Rank(number, size).share(items)) for number in range(size)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [list(Rank(0, size).share(items, number)) for number in range(size)] == shares


@pytest.mark.parametrize(
    ("rank", "asked", "given"),
    [
        (Rank(), "auto", "auto"),
        (Rank(), "cuda:1", "cuda:1"),
        (Rank(3, 4, 3), "auto", "cuda:3"),
        (Rank(3, 4, 1), "cuda:0", "cuda:1"),
        (Rank(3, 4, 3), "cpu", "cpu"),
    ],
)
def test_each_process_of_a_machine_gets_its_own_gpu(monkeypatch, rank, asked, given):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert rank.device(asked) == given


def test_without_a_gpu_each_process_uses_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Rank(1, 2, 1).device("auto") == "auto"
