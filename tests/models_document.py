"""Writes MODELS.md, the table of all pipelines that make videos from a text, from the registry."""

import sys

from generator.models.inputs import Use
from generator.models.registry import FAMILIES, MISSING

BEGINNING = (
    "# Models\n\n"
    "Every pipeline of diffusers 0.42.1 that makes videos from a text, by the name of its class, which the "
    "`model_index.json` of a model tells.\nThis document is generated from the registry: `make models`.\n\n"
    "## Supported\n\n"
    "Each is recorded exactly, for both branches of guidance, at tokens whose place is proven before the first video; "
    "the video stays the same\nto the last bit. `tests/families/` shows this for every class with a small pipeline of "
    "random weights. Classes that need an input which the\ncommand line does not take work in programs of your own: "
    "`capture` of `generator.library` ([GUIDE.md](GUIDE.md)).\n\n"
    "| class | takes besides the prompt | attends to the text | guidance |\n| --- | --- | --- | --- |\n"
)
BETWEEN = (
    "\n## Not supported\n\nThey are refused by name, before anything is loaded.\n\n"
    "| class | what is missing |\n| --- | --- |\n"
)
ATTENTION = {"apart": "in layers of its own", "first": "jointly with the video", "last": "jointly with the video"}


def document() -> str:
    """Return the whole document."""
    rows = [_row(name) for name in sorted(FAMILIES, key=str.casefold)]
    missing = [f"| `{name}` | {why} |" for name, why in sorted(MISSING.items())]
    return BEGINNING + "\n".join(rows) + "\n" + BETWEEN + "\n".join(missing) + "\n"


def _row(name: str) -> str:
    family = FAMILIES[name]
    uses = {kind.replace("_", " "): use for kind, use in vars(family.inputs).items() if use is not Use.NEVER}
    takes = ", ".join(kind if use is Use.REQUIRED else f"{kind} (optional)" for kind, use in uses.items())
    where = ATTENTION[family.text_place.value] + (", frame by frame" if family.frame_by_frame else "")
    guidance = "one call" if family.guidance_in_one_batch else "two calls"
    return f"| `{name}` | {takes or '-'} | {where} | {guidance} |"


if __name__ == "__main__":
    sys.stdout.write(document())
