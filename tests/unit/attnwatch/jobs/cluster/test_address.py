import pytest

from attnwatch.errors import ConfigError
from attnwatch.jobs.cluster.address import Address
from attnwatch.settings import Watcher

dask = pytest.importorskip("dask", reason="needs the extra attnwatch[dask]")


@pytest.mark.parametrize(
    ("engine", "scheduler", "workers"),
    [
        ("dask://scheduler:8786", "tcp://scheduler:8786", 0),
        ("dask://[fe80::1]:8786", "tcp://[fe80::1]:8786", 0),
        ("dask://local?workers=4", None, 4),
    ],
)
def test_an_engine_names_a_scheduler_or_a_cluster_on_this_machine(engine, scheduler, workers):
    assert Address.of(Watcher(engine=engine).engine) == Address(scheduler, workers)


def test_a_cluster_on_this_machine_has_half_as_many_workers_as_the_machine_has_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert Address.of("dask://local").workers == 3


def test_the_address_may_be_in_the_configuration_of_dask():
    with dask.config.set({"scheduler-address": "tls://h:8786"}):
        assert Address.of("dask") == Address("tls://h:8786")
    with dask.config.set({"scheduler-address": None}), pytest.raises(ConfigError, match="DASK_SCHEDULER_ADDRESS"):
        Address.of("dask")
