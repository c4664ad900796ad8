import pytest
import torch

from generator.batch.sharing.launchers import SLURM
from generator.batch.sharing.ranks import Rank
from generator.errors import SettingsError


def test_without_a_launcher_there_is_one_process():
    rank = Rank.of({"HOME": "/"})
    assert (rank, rank.is_first) == (Rank(0, 1, 0), True)


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
        {"WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
    ],
)
def test_rank_variables_that_contradict_each_other_are_refused(variables):
    with pytest.raises(SettingsError) as caught:
        Rank.of(variables)
    for name, value in variables.items():
        assert f"{name}={value}" in str(caught.value)
    assert "unset RANK WORLD_SIZE LOCAL_RANK" in str(caught.value)


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


@pytest.mark.parametrize(("visible", "device"), [(4, "cuda:3"), (1, "cuda:0"), (2, "cuda:1")])
def test_a_task_of_slurm_that_sees_its_own_gpus_only_uses_one_of_them(monkeypatch, visible, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    assert Rank(3, 4, 3, SLURM).device("auto") == device


def test_without_a_gpu_each_process_uses_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Rank(1, 2, 1).device("auto") == "auto"
