"""The embedded default model: a complete, real Wan pipeline with tiny dimensions.

`folder` returns where it lies, in the format of any other diffusers model. If weights are shipped beside this
file (folder ``weights``) it is them; otherwise the pipeline is built once from its configuration and a fixed
seed, and kept in the user's cache.
"""

import os
import shutil
import tempfile
from pathlib import Path

from generator.errors import ModelError
from generator.settings import Sampling

NAME = "tiny"
RECOMMENDED = Sampling(width=192, height=128, frames=17, fps=8.0, steps=8, guidance_scale=5.0)

_SHIPPED = Path(__file__).parent / "weights"


def folder() -> Path:
    """Return the folder of the model, which is built at the first call.

    Raises:
        ModelError: if the cache cannot be written.

    """
    if _SHIPPED.is_dir():
        return _SHIPPED
    from generator.tiny.build import fingerprint  # noqa: PLC0415 - needs torch, shipped weights do not

    place = _cache() / f"tiny-{fingerprint()}"
    if not place.is_dir():
        _build(place)
    return place


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "attnwatch"


def _build(place: Path) -> None:
    """Build beside ``place`` and rename, so that processes that do this at the same time cannot disturb."""
    from generator.tiny.build import build  # noqa: PLC0415

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".tiny-", dir=place.parent))
    except OSError as error:
        raise ModelError(
            f"the embedded model cannot be built in {place.parent}: {error.strerror}. "
            "Set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    try:
        build().save_pretrained(workplace)
        workplace.rename(place)
    except OSError as error:
        if not place.is_dir():  # otherwise another process was faster, and its model is the same
            raise ModelError(f"the embedded model cannot be built in {place}: {error}") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
