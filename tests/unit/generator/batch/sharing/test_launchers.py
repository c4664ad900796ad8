"""The variables are those that each launcher has set on a cluster of two machines with two processes each."""

import pytest

from generator.batch.sharing.launchers import (
    HYDRA,
    OPEN_MPI,
    SLURM,
    TORCH,
    first_host,
    launcher_of,
    refuse_lone_process,
)
from generator.batch.sharing.ranks import Rank
from generator.errors import SettingsError

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
TORCHRUN |= {"MASTER_ADDR": "gpu1", "MASTER_PORT": "29400"}
SRUN = {"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
SRUN |= {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_NODELIST": "gpu[07-08]"}
MPIRUN = {f"OMPI_COMM_WORLD_{name}": value for name, value in zip(("RANK", "SIZE"), "34", strict=True)}
MPIRUN |= {f"OMPI_COMM_WORLD_LOCAL_{name}": value for name, value in zip(("RANK", "SIZE"), "12", strict=True)}
MPICH = {"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
FIRST = {"MASTER_ADDR": "gpu1", "MASTER_PORT": "29400"}


@pytest.mark.parametrize(
    ("launcher", "environment"),
    [
        (TORCH, TORCHRUN),
        (SLURM, SRUN),
        (OPEN_MPI, MPIRUN),
        (HYDRA, MPICH),
        (TORCH, SRUN | MPIRUN | TORCHRUN),
        (OPEN_MPI, SRUN | MPIRUN),
        (SLURM, SRUN | {"WORLD_SIZE": "4"}),
        (SLURM, SRUN | {"PMI_RANK": "3", "PMI_SIZE": "4"}),
    ],
    ids=[
        "torchrun",
        "srun",
        "mpirun",
        "mpich",
        "torchrun by mpirun",
        "mpirun in a job",
        "srun and a variable of torch",
        "srun --mpi=pmi2",
    ],
)
def test_a_process_knows_its_place_from_the_innermost_launcher(launcher, environment):
    assert launcher_of(environment) is launcher
    rank = Rank.of(environment)
    assert (rank.number, rank.size, rank.local, rank.others) == (3, 4, 1, [0, 1, 2])


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {"SLURM_NTASKS": "4"},
    ],
    ids=["script of a job", "shell of a job", "allocation"],
)
def test_what_is_not_started_by_srun_is_alone_however_many_tasks_the_job_may_have(environment):
    assert Rank.of(environment).size == 1


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN | FIRST, MPIRUN | FIRST, MPICH | FIRST])
def test_all_meet_where_they_are_told_to(environment):
    assert launcher_of(environment).address(environment) == ("gpu1", 29400)


def test_the_tasks_of_a_job_step_meet_on_its_first_machine_at_a_port_of_their_own():
    host, port = SLURM.address(SRUN)
    assert host == "gpu07"
    assert 10_000 <= port < 30_000
    assert SLURM.address(SRUN | {"SLURM_PROCID": "0"}) == (host, port)
    assert SLURM.address(SRUN | {"SLURM_STEP_ID": "1"}) != (host, port)


@pytest.mark.parametrize(
    ("launcher", "environment"),
    [
        (SLURM, SRUN | {"SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_STEP_NODELIST": "gpu07"}),
        (OPEN_MPI, MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}),
        (HYDRA, MPICH | {"MPI_LOCALNRANKS": "4"}),
    ],
)
def test_on_one_machine_no_address_is_needed(launcher, environment):
    host, _port = launcher.address(environment)
    assert host == "127.0.0.1"


@pytest.mark.parametrize("launcher", [OPEN_MPI, HYDRA, TORCH])
def test_processes_on_several_machines_that_cannot_find_each_other_say_what_is_missing(launcher):
    environment = {launcher.number: "0", launcher.size: "4", launcher.local_size: "2", "MASTER_PORT": "29400"}
    with pytest.raises(SettingsError, match=r"found MASTER_PORT=29400; expected in MASTER_ADDR the machine"):
        launcher.address(environment)


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(SettingsError, match=f"found MASTER_ADDR=gpu1, MASTER_PORT={port}; expected .* a free port"):
        TORCH.address(TORCHRUN | {"MASTER_PORT": port})


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("gpu7", "gpu7"),
        ("gpu[003-005,9],login", "gpu003"),
        ("login,gpu[003-005,9]", "login"),
        ("rack[2-3]n[10,12]", "rack2n10"),
        ("a-[1]-x.lab,b", "a-1-x.lab"),
        ("", ""),
    ],
)
def test_the_first_machine_of_a_list_of_slurm(hosts, first):
    assert first_host(hosts) == first


LONE = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "gpu1", "MASTER_PORT": "29500"}


def test_a_process_that_accelerate_starts_on_each_machine_without_a_number_is_refused():
    with pytest.raises(SettingsError, match=r"each of them would make the whole batch. Add --multi_gpu"):
        refuse_lone_process(LONE)


@pytest.mark.parametrize(
    "environment",
    [
        {name: value for name, value in LONE.items() if not name.startswith("MASTER_")},
        {name: value for name, value in LONE.items() if not name.startswith("ACCELERATE_")},
        LONE | TORCHRUN,
        LONE | SRUN,
    ],
    ids=["one process", "no accelerate", "with numbers", "numbers of srun"],
)
def test_who_is_alone_on_purpose_or_knows_the_others_is_not_refused(environment):
    refuse_lone_process(environment)
