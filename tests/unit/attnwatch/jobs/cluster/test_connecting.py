import asyncio
import gc
import warnings

import pytest

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

from attnwatch.jobs.cluster.connecting import open_client


def test_a_connection_that_is_given_up_leaves_nothing_behind():
    """Such as by Ctrl+C while no scheduler answers."""

    async def given_up():
        connecting = asyncio.ensure_future(open_client("tcp://127.0.0.1:9"))
        await asyncio.sleep(0.1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.run(given_up())
        gc.collect()
    assert [str(one.message) for one in said if one.category is RuntimeWarning] == []
