"""Options of an exported page."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Group, Parameter

PAGE = Group("Page", sort_key=4)


@Parameter(name="*")
@dataclass(frozen=True)
class PageFlags:
    """Options of the page."""

    videos: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--videos", "--video"],
            metavar="PATTERN",
            group=PAGE,
            consume_multiple=False,
            negative="",
            help="Export only videos whose identifier matches, such as 'prompt_001_*'; several with commas.",
        ),
    ] = ()
    steps: Annotated[
        Literal["all", "mean"] | None,
        Parameter(metavar="STEPS", group=PAGE, help="Denoising steps: `all` that are stored (the default), or `mean`."),
    ] = None
    link: Annotated[
        bool,
        Parameter(negative="", group=PAGE, help="Leave the videos where they are; the page finds them only from here."),
    ] = False
