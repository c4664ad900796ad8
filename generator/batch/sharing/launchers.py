"""Which of several processes this one is, as the programs that start processes say in its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from generator.errors import SettingsError

Environment = Mapping[str, str]

_LOOPBACK = "127.0.0.1"
_PORT = "29500"
"""The port that torchrun and accelerate take where none is given."""
_PORTS = range(10_000, 30_000)
"""Ports that jobs get which could run on one machine at a time: above those of services, below those of clients."""


@dataclass(frozen=True)
class Launcher:
    """A program that starts several processes, and the variables in which it tells each of them its place.

    Attributes:
        name: how its users call it
        number: variable with the index of the process among all, from 0
        size: variable with the number of all processes
        local: variable with the index of the process among those on its machine
        local_size: variable with the number of those; equal to that of all if there is only one machine
        job: variables that tell apart the jobs that could run on one machine
        hosts: variable with the list of machines, in the notation of Slurm
        sets_local: whether it always sets the variable of the index on the machine
        shares_gpus: whether every process sees all GPUs of its machine; else each may see its own ones only

    """

    name: str
    number: str
    size: str
    local: str
    local_size: str
    job: tuple[str, ...] = ()
    hosts: str = ""
    sets_local: bool = True
    shares_gpus: bool = False

    @property
    def remedy(self) -> str:
        """What to do in order to use this process alone."""
        return f"To make a batch with this process alone, run `unset {self.number} {self.size} {self.local}`"

    def has_started(self, environment: Environment) -> bool:
        """Return whether it has started this process."""
        names = (self.number, self.size, *((self.local,) if self.sets_local else ()))
        return all(environment.get(name) for name in names)

    def address(self, environment: Environment) -> tuple[str, int]:
        """Return host and port at which the first process waits for the others.

        Raises:
            SettingsError: if that does not follow from the variables.

        """
        host, port = environment.get("MASTER_ADDR") or self._host(environment), self._port(environment)
        if host and port.isdecimal() and 0 < int(port) < 2**16:
            return host, int(port)
        given = ", ".join(
            f"{name}={environment[name]}" for name in ("MASTER_ADDR", "MASTER_PORT") if name in environment
        )
        raise SettingsError(
            f"processes on several machines: found {given or 'neither MASTER_ADDR nor MASTER_PORT'}; expected in "
            "MASTER_ADDR the machine of process 0, and in MASTER_PORT a free port on it, in the environment of every "
            f"process of {self.name}. {self.remedy}"
        )

    def _host(self, environment: Environment) -> str:
        if environment.get(self.local_size) == environment.get(self.size, ""):
            return _LOOPBACK
        return first_host(environment.get(self.hosts, ""))

    def _port(self, environment: Environment) -> str:
        if port := environment.get("MASTER_PORT"):
            return port
        job = " ".join(environment.get(name, "") for name in self.job).strip()
        return str(_PORTS[crc32(job.encode()) % len(_PORTS)]) if job else _PORT


TORCH = Launcher(
    "torchrun or accelerate launch",
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    sets_local=False,  # Kubernetes sets the other two only
    shares_gpus=True,
)
OPEN_MPI = Launcher(
    "mpirun (Open MPI; pass variables on with -x)",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    job=("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
)
HYDRA = Launcher("mpirun (MPICH, Intel MPI)", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS")
SLURM = Launcher(
    "srun",
    "SLURM_PROCID",
    # SLURM_NTASKS is also set in the script of a job, which is one process however many tasks the job may start.
    "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID",
    "SLURM_STEP_TASKS_PER_NODE",
    job=("SLURM_JOB_ID", "SLURM_STEP_ID"),
    hosts="SLURM_STEP_NODELIST",
)
LAUNCHERS = (TORCH, OPEN_MPI, HYDRA, SLURM)
"""The innermost first: mpirun starts its own processes with srun, and both are used to start torchrun."""


def launcher_of(environment: Environment) -> Launcher:
    """Return the launcher that has started this process; that of torch if there is none."""
    return next((launcher for launcher in LAUNCHERS if launcher.has_started(environment)), TORCH)


def refuse_lone_process(environment: Environment) -> None:
    """Refuse to make a whole batch in each of several processes that know nothing of each other.

    Without ``--multi_gpu``, `accelerate launch` starts one process on each machine, however many it is asked for, and
    tells it where the first one is, but not which one it is.

    Raises:
        SettingsError: in such a process.

    """
    is_lone = not any(launcher.has_started(environment) for launcher in LAUNCHERS)
    if is_lone and "ACCELERATE_MIXED_PRECISION" in environment and environment.get("MASTER_ADDR"):
        raise SettingsError(
            "accelerate launch was asked for several processes or machines, but has started this process without a "
            "number, as it does without --multi_gpu: each of them would make the whole batch. Add --multi_gpu, which "
            "works on CPUs, too. To make a batch with this process alone, run `unset MASTER_ADDR`"
        )


def first_host(hosts: str) -> str:
    """Return the first machine of a list such as ``gpu[003-005,9],login``; empty if the list is."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", hosts)
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first[0]) if first else ""
