"""What `attnwatch doctor` finds about the cluster that a watcher would work on."""

from collections.abc import Iterator
from pathlib import Path

from attnwatch.batches.targets import home_of_root
from attnwatch.cli.finding import Finding
from attnwatch.jobs import require_cluster
from attnwatch.report.log import counted
from attnwatch.settings import Watcher


def examine_cluster(root: Path, settings: Watcher) -> Iterator[Finding]:
    """Yield the findings about the scheduler and about each worker; none if jobs run in processes of the watcher.

    Raises:
        ConfigError: Dask is not installed, or does not know which cluster.

    """
    if settings.engine == "local":
        return
    require_cluster(settings.engine)
    from attnwatch.jobs.cluster.address import Address  # noqa: PLC0415 - an extra
    from attnwatch.jobs.cluster.connecting import no_scheduler, silence_dask  # noqa: PLC0415
    from attnwatch.jobs.cluster.examined import examine  # noqa: PLC0415
    from attnwatch.jobs.cluster.expected import expected_folder  # noqa: PLC0415
    from attnwatch.jobs.cluster.paths import PathMap  # noqa: PLC0415

    address, home = Address.of(settings.engine), home_of_root(root)
    if address.scheduler is None:
        yield Finding("ok", f"the watcher starts {counted(address.workers, 'worker')} of its own on this machine")
        return
    there = PathMap.of(settings.path_map).there(home)
    silence_dask()
    try:
        wrong, workers = examine(address.scheduler, [expected_folder(home, there, is_written=True)])
    except OSError as error:
        yield _problem("problem", no_scheduler(address, error))
        return
    if wrong is not None:
        yield _problem("problem", f"the scheduler at {address}: {wrong}")
        return
    yield Finding("ok", f"the scheduler at {address} answers")
    if not workers:
        remedy = f"start one (dask worker {address}), unless a batch system does so when there is work"
        yield Finding("warning", "the cluster has no workers", remedy)
    level = "warning" if any(worker.problem is None for worker in workers) else "problem"
    for worker in workers:
        about = f"worker {worker.name} with {counted(worker.threads, 'thread')}"
        if worker.problem is None:
            yield Finding("ok", f"{about} is fit for jobs")
        else:
            yield _problem(level, f"{about} would get no jobs: {worker.problem}")


def _problem(level: str, said: str) -> Finding:
    """Return a finding from a sentence that ends with what to do."""
    text, _, remedy = said.rpartition("; ")
    return Finding("warning" if level == "warning" else "problem", text, remedy)
