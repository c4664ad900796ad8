import ctypes
import os
import platform
import resource
from pathlib import Path

import pytest

from attnwatch.system.limits import Limits
from tests.support import called_in_a_process

GIGABYTE = 2**30
AUTOGROUP = Path("/proc/self/autogroup")
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}.get(platform.machine())
IDLE = 3


def limits_after(limits):
    limits.impose()
    names = ("CORE", "FSIZE", "CPU", "DATA")
    return {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in names}


def test_processor_time_is_limited_to_the_wall_clock_limit_on_every_thread():
    assert called_in_a_process(limits_after, Limits(seconds=119.5, threads=2))["CPU"] == 369
    assert called_in_a_process(limits_after, Limits(seconds=10))["CPU"] == 30


def test_memory_is_limited():
    assert called_in_a_process(limits_after, Limits(60, memory=GIGABYTE))["DATA"] == GIGABYTE


def test_without_a_memory_limit_none_is_set():
    assert called_in_a_process(limits_after, Limits(60))["DATA"] == resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_core_dumps_are_disabled_and_file_sizes_limited():
    found = called_in_a_process(limits_after, Limits(60))
    assert found["CORE"] == 0
    assert 0 < found["FSIZE"] <= 8 * GIGABYTE


def allocate(limits, megabytes):
    limits.impose()
    try:
        return len(bytearray(megabytes * 2**20))
    except MemoryError:
        return "no memory"


def own_data():
    """Bytes of data of this process, which a fork inherits; other tests may have left many."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData")]
    return int(line.split()[1]) * 1024


def test_allocating_more_than_the_memory_limit_fails():
    limits = Limits(60, memory=own_data() + 256 * 2**20)
    assert called_in_a_process(allocate, limits, 512) == "no memory"
    assert called_in_a_process(allocate, limits, 16) == 16 * 2**20


def map_file(limits, path):
    import numpy as np

    limits.impose()
    return float(np.memmap(path, dtype=np.float32, mode="r")[-1])


def test_mapped_files_do_not_count_as_memory(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(16 * GIGABYTE)
    assert called_in_a_process(map_file, Limits(60, memory=own_data() + 256 * 2**20), path) == 0.0


def under_a_lower_limit(limits):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    return limits_after(limits)


def test_a_lower_existing_limit_stays():
    found = called_in_a_process(under_a_lower_limit, Limits(60))
    assert (found["FSIZE"], found["CPU"]) == (4096, 5)


def niceness_after(limits):
    limits.impose()
    return os.nice(0), AUTOGROUP.read_text().split()[-1] if AUTOGROUP.exists() else None


def test_niceness_is_set_for_the_process_and_its_session():
    before = os.nice(0)
    own, session = called_in_a_process(niceness_after, Limits(60, nice=5))
    assert own == min(19, before + 5)
    if session is None:
        pytest.skip("the scheduler of this kernel does not weigh sessions (sched_autogroup)")
    assert session == "5"


def io_priority_after(limits):
    limits.impose()
    return ctypes.CDLL(None).syscall(IOPRIO_GET, 1, 0) >> 13


@pytest.mark.skipif(IOPRIO_GET is None, reason="the number of this system call is known for x86_64 and aarch64 only")
def test_the_io_priority_is_idle():
    assert called_in_a_process(io_priority_after, Limits(60)) == IDLE
