"""Cases of pipelines that make videos from an image, and of Lucy Edit."""

from functools import partial

from generator.models.contract import LatentGrid
from tests import families
from tests.families.conformance import BY_CALLS, Case
from tests.families.media import film, picture

WAN = {"width": 64, "height": 48, "num_frames": 5, "guidance_scale": 5.0}
WAN_GRID = LatentGrid(2, 3, 4, 4, True)
SEEN = {"image_keys": families.IMAGE_TOKENS}
TWO_SEEN = {"image_keys": 2 * families.IMAGE_TOKENS}


def _wan(build, *others, **known):
    arguments = {"image": picture(64, 48), **dict(others)}
    return Case(build, WAN_GRID, 4, lambda: {**WAN, **arguments}, order=BY_CALLS, source="cache_context", **known)


def _cogvideox(grid, **network):
    call = {"width": 64, "height": 48, "num_frames": 9, "max_sequence_length": 32, "image": picture(64, 48)}
    build = partial(families.cogvideox_from_image, **network)
    return Case(build, grid, 2, lambda: call, rows=(-grid.size, None))


CASES = {
    "WanImageToVideoPipeline": _wan(partial(families.wan_from_image, seen=True), **SEEN),
    "WanImageToVideoPipeline of a first and a last image": _wan(
        partial(families.wan_from_image, seen=True, place_for_last=True),
        ("last_image", picture(64, 48, 200)),
        **TWO_SEEN,
    ),
    "WanImageToVideoPipeline of TI2V": _wan(partial(families.wan_from_image, expand_timesteps=True)),
    "LucyEditPipeline": Case(
        families.lucy_edit,
        WAN_GRID,
        4,
        lambda: {**WAN, "video": film(64, 48, 5)},
        order=BY_CALLS,
        source="cache_context",
    ),
    "CogVideoXImageToVideoPipeline": _cogvideox(LatentGrid(3, 3, 4, 4, True)),
    "CogVideoXImageToVideoPipeline 1.5": _cogvideox(
        LatentGrid(2, 3, 4, 8, True),
        use_learned_positional_embeddings=False,
        patch_size_t=2,
        patch_bias=False,
        ofs_embed_dim=8,
    ),
    "LTXImageToVideoPipeline": Case(
        families.ltx_from_image,
        LatentGrid(3, 2, 3, 8, True),
        2,
        lambda: {"width": 96, "height": 64, "num_frames": 17, "image": picture(96, 64)},
    ),
}
