"""Options about the cluster that a command may work on."""

from typing import Any

from cyclopts import Parameter

ENGINE = Parameter(
    name="--engine",
    metavar="ENGINE",
    help="Where videos are worked on: `local`, or a Dask cluster: `dask://HOST:8786`, `dask://local?workers=4`.",
)
PATH_MAP = Parameter(
    name="--path-map",
    metavar="HERE=THERE",
    consume_multiple=False,
    negative="",
    help="A folder that workers of a cluster have under another path, such as /data=/mnt/data; may be repeated.",
)


def given_cluster(engine: str | None, path_map: tuple[str, ...]) -> dict[str, Any]:
    """Return the values that these options set, by name."""
    return {name: value for name, value in (("engine", engine), ("path_map", path_map)) if value}
