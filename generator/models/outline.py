"""A pipeline without weights, which knows all sizes and can tokenise, but not generate.

It tells within seconds what the whole model, which takes minutes to load, would refuse.
"""

from typing import Any

import diffusers
import transformers
from accelerate import init_empty_weights


def outline(source: str, kind: str) -> diffusers.DiffusionPipeline:
    """Load the pipeline in a folder, as one of class ``kind``, with networks that have no weights.

    Raises:
        OSError, ValueError: if it cannot be loaded.

    """
    index: dict[str, Any] = diffusers.DiffusionPipeline.load_config(source, local_files_only=True)
    pipeline = getattr(diffusers, kind)
    given = {name: value for name, value in index.items() if not name.startswith("_")}
    return pipeline(
        **{
            name: _component(source, name, *value) if isinstance(value, list | tuple) else value
            for name, value in given.items()
        }
    )


def _component(source: str, name: str, library: str | None, kind: str | None) -> Any:  # noqa: ANN401 - of any class
    """Load one component: tokenizers and schedulers whole, networks without weights."""
    if library is None or kind is None:
        return None
    found: Any = getattr({"diffusers": diffusers, "transformers": transformers}.get(library), kind, None)
    if found is None:
        raise ValueError(f"{name}: found a {library}.{kind}, which is not known without loading it")
    with init_empty_weights():
        if hasattr(found, "load_config") and hasattr(found, "from_config") and not hasattr(found, "set_timesteps"):
            return found.from_config(found.load_config(source, subfolder=name))
        if hasattr(found, "config_class"):
            return found(found.config_class.from_pretrained(source, subfolder=name))
    return found.from_pretrained(source, subfolder=name)
