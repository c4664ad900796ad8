"""A real Slurm on this machine: a controller and some nodes, with a configuration, keys and files in one folder.

Nothing of the system is read or changed, and nothing listens but on the loopback interface.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import kill_having
from tests.support import environment, free_ports, wait_until

NEEDS_SLURM = pytest.mark.skipif(
    not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))),
    reason="needs Slurm (Debian: slurmctld slurmd slurm-client munge)",
)
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
SlurmdTimeout=10
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_min_interval=0,bf_interval=1
MinJobAge=3600
KillWait=5
ReturnToService=2
GresTypes=gpu
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={cpus} RealMemory=100000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A cluster of several nodes with a GPU each, as Slurm believes.

    Attributes:
        folder: of everything that belongs to it.
        nodes: their names.

    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 4) -> None:
        self.folder = folder
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        port, *ports = free_ports(1 + nodes)
        for name in ("state", *self.nodes):
            (folder / name).mkdir()
        values = {
            "folder": folder,
            "host": socket.gethostname().partition(".")[0],
            "port": port,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "nodes": ",".join(self.nodes),
            "ports": ",".join(map(str, ports)),
            "cpus": cpus,
        }
        (folder / "slurm.conf").write_text(_CONFIGURATION.format(**values))
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # loaded, and not used
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

    @property
    def variables(self) -> dict[str, str]:
        """What Slurm's commands need in their environment, and all that is started by it has."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start all daemons, and wait until the nodes take jobs."""
        files = (f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "log", "seed", "key"))
        # By force, because other users may not enter the folder; none of them has jobs.
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        wait_until((self.folder / "munge.socket").exists, about="munged")
        self._start("slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        idle = ["idle"] * len(self.nodes)
        wait_until(lambda: self.run("sinfo", "-h", "-N", "-o", "%T").split() == idle, about="nodes")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._start("slurmd", "-D", "-N", node, name=node)

    def fail_node(self, node: str) -> None:
        """End a node with everything that runs there, as if its power had gone, and have Slurm know of it."""
        self._daemons[node].kill()
        self._daemons.pop(node).wait()
        kill_having(**self.variables, SLURMD_NODENAME=node)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def run(self, *command: object, cwd: Path | None = None, **variables: str) -> str:
        """Run one of Slurm's commands; return what it prints."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=cwd or self.folder,
            env=environment(**self.variables, **variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def submit(self, *arguments: object, cwd: Path, **variables: str) -> str:
        """Submit a job with `sbatch`; return its number."""
        return self.run("sbatch", "--parsable", *arguments, cwd=cwd, **variables).strip()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Start no jobs during the context, as if others had all nodes."""
        self.run("scontrol", "update", "partitionname=main", "state=down")
        try:
            yield
        finally:
            self.run("scontrol", "update", "partitionname=main", "state=up")

    def requeue(self, job: str) -> None:
        """Have a job stopped and started again, at once instead of after some seconds."""
        self.run("scontrol", "requeue", job)
        wait_until(lambda: "PENDING" in self.states(job).values(), 60, f"job {job} to wait")
        self.run("scontrol", "update", f"jobid={job}", "StartTime=now")

    def states(self, job: str) -> dict[str, str]:
        """Return the states of a job's elements by their numbers (0 for one that is no array), such as RUNNING."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T").splitlines()
        return {element.replace("N/A", "0"): state for element, state in map(str.split, lines)}

    def wait_for(self, job: str, *states: str, seconds: float = 120.0) -> dict[str, str]:
        """Wait until all elements of a job are in one of some states; return these."""

        def there() -> dict[str, str] | None:
            found = self.states(job)
            return found if set(found.values()) <= set(states) else None

        found: dict[str, str] = wait_until(there, seconds, f"{states} of job {job}")
        return found

    def close(self) -> None:
        """Kill every job and every daemon."""
        kill_having(**self.variables)
        for process in self._daemons.values():
            process.wait()

    def _start(self, program: str, *arguments: str, name: str | None = None) -> None:
        with (self.folder / f"{name or program}.out").open("ab") as out:
            self._daemons[name or program] = subprocess.Popen(
                [program, *arguments],
                cwd=self.folder,
                env=environment(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@contextlib.contextmanager
def running_slurm(folder: Path, nodes: int = 2, cpus: int = 4) -> Iterator[Slurm]:
    """Run a cluster; no process of it or of its jobs outlives the context."""
    slurm = Slurm(folder, nodes, cpus)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.close()
