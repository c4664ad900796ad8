"""A case for each supported pipeline, by the name of its class; what differs about it follows the name."""

from functools import partial

import diffusers

from generator.models.contract import LatentGrid
from tests import families
from tests.families import (
    from_image,
    like_animatediff,
    like_cogvideox,
    like_cosmos,
    like_hunyuan,
    like_ltx,
    like_sana,
    like_wan,
)
from tests.families.conformance import BY_BATCH, BY_CALLS, Case
from tests.families.media import film, picture

WAN = {"width": 64, "height": 48, "guidance_scale": 5.0}
WAN_GRID = LatentGrid(2, 3, 4, 4, True)
NAMED = {"order": BY_CALLS, "source": "cache_context"}


def given(**arguments):
    """Return a function that builds the arguments of a call; functions among them are called each time."""
    return lambda: {name: value() if callable(value) else value for name, value in arguments.items()}


wan_case = partial(Case, grid=WAN_GRID, layers=2)
wan_film, wan_picture = partial(film, 64, 48, 5), partial(picture, 64, 48)

LTX = {"width": 96, "height": 64, "num_frames": 17}
ltx_case = partial(Case, like_ltx.condition, LatentGrid(3, 2, 3, 8, True), 2)
LTX2 = {"width": 32, "height": 32, "num_frames": 5, "spatio_temporal_guidance_blocks": [1]}
ALONE = {"audio_stg_scale": 0.0, "audio_modality_scale": 1.0}
ltx2_case = partial(Case, grid=LatentGrid(3, 16, 16, 2, True), layers=2)
hunyuan15_case = partial(Case, grid=LatentGrid(3, 4, 4, 4, True), layers=2, rows=(None, 48), **NAMED)
hunyuan_case = partial(Case, grid=WAN_GRID, layers=3, rows=(None, 24), order=BY_CALLS, source="text")
SANA = {"width": 64, "height": 64, "frames": 5, "use_resolution_binning": False}
sana_case = partial(Case, grid=LatentGrid(2, 4, 4, 4, True), layers=2)
COSMOS = {"width": 32, "height": 32, "num_frames": 9}
cosmos_case = partial(Case, grid=LatentGrid(3, 4, 4, 4, True), layers=2, order=BY_CALLS, source="text")
kandinsky_case = partial(Case, grid=WAN_GRID, layers=2, order=BY_CALLS, source="text")
easy_case = partial(Case, grid=LatentGrid(2, 3, 4, 4, True), layers=2, rows=(-24, None))
diff_case = partial(Case, grid=LatentGrid(3, 5, 8, 1, True), layers=7, frame_by_frame=True)
cosmos_picture, diff_film = partial(picture, 32, 32), partial(film, 64, 40, 3)
SHORT_TEXT = {"max_sequence_length": 32}

CASES = {
    "WanPipeline": Case(families.wan, WAN_GRID, 4, given(**WAN, num_frames=5), **NAMED),
    "WanVideoToVideoPipeline": wan_case(
        like_wan.wan_video_to_video,
        arguments=given(**WAN, video=wan_film, strength=0.7, num_inference_steps=3),
        order=BY_CALLS,
        source="text",
    ),
    "WanVACEPipeline": wan_case(like_wan.wan_vace, arguments=given(**WAN, num_frames=5), **{**NAMED, "layers": 4}),
    "WanVACEPipeline with a reference": wan_case(
        like_wan.wan_vace,
        arguments=given(**WAN, num_frames=5, reference_images=lambda: [wan_picture()]),
        rows=(12, None),
        **{**NAMED, "layers": 4},
    ),
    "WanImageToVideoPipeline": Case(
        partial(families.wan_from_image, seen=True),
        WAN_GRID,
        4,
        given(**WAN, num_frames=5, image=wan_picture),
        image_keys=17,
        **NAMED,
    ),
    "LucyEditPipeline": Case(families.lucy_edit, WAN_GRID, 4, given(**WAN, video=wan_film, num_frames=5), **NAMED),
    "SkyReelsV2Pipeline": wan_case(like_wan.skyreels, arguments=given(**WAN, num_frames=5), **NAMED),
    "SkyReelsV2ImageToVideoPipeline": wan_case(
        like_wan.skyreels_from_image, arguments=given(**WAN, num_frames=5, image=wan_picture), image_keys=17, **NAMED
    ),
    "SkyReelsV2DiffusionForcingPipeline": wan_case(
        partial(like_wan.skyreels, diffusers.SkyReelsV2DiffusionForcingPipeline),
        arguments=given(**WAN, num_frames=5, base_num_frames=5),
        **NAMED,
    ),
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": wan_case(
        partial(like_wan.skyreels, diffusers.SkyReelsV2DiffusionForcingImageToVideoPipeline),
        arguments=given(**WAN, num_frames=5, base_num_frames=5, image=wan_picture),
        **NAMED,
    ),
    "AnyFlowPipeline": wan_case(like_wan.anyflow, arguments=given(**WAN, num_frames=5)),
    "ChronoEditPipeline": wan_case(
        like_wan.chronoedit, arguments=given(**WAN, image=wan_picture), order=BY_CALLS, source="text", image_keys=17
    ),
    "CogVideoXPipeline": Case(
        families.cogvideox,
        LatentGrid(3, 3, 4, 4, True),
        2,
        given(width=64, height=48, num_frames=9, max_sequence_length=32),
        rows=(-36, None),
    ),
    "CogVideoXVideoToVideoPipeline": Case(
        partial(like_cogvideox.from_parts, diffusers.CogVideoXVideoToVideoPipeline),
        LatentGrid(3, 3, 4, 4, True),
        2,
        given(width=64, height=48, video=partial(film, 64, 48, 9), strength=0.7, num_inference_steps=3, **SHORT_TEXT),
        rows=(-36, None),
    ),
    "CogVideoXFunControlPipeline": Case(
        partial(like_cogvideox.from_parts, diffusers.CogVideoXFunControlPipeline, in_channels=8),
        LatentGrid(3, 3, 4, 4, True),
        2,
        given(width=64, height=48, control_video=partial(film, 64, 48, 9), **SHORT_TEXT),
        rows=(-36, None),
    ),
    "LTXPipeline": Case(families.ltx, LatentGrid(3, 2, 3, 8, True), 2, given(width=96, height=64, num_frames=17)),
    "CogVideoXImageToVideoPipeline": Case(
        families.cogvideox_from_image,
        LatentGrid(3, 3, 4, 4, True),
        2,
        given(width=64, height=48, num_frames=9, image=wan_picture, **SHORT_TEXT),
        rows=(-36, None),
    ),
    "LTXImageToVideoPipeline": Case(
        families.ltx_from_image,
        LatentGrid(3, 2, 3, 8, True),
        2,
        given(**LTX, image=partial(picture, 96, 64)),
    ),
    "LTXConditionPipeline": ltx_case(arguments=given(**LTX)),
    "LTXConditionPipeline with a first image": ltx_case(arguments=given(**LTX, image=partial(picture, 96, 64))),
    "LTXConditionPipeline with a keyframe": ltx_case(
        arguments=given(**LTX, image=partial(picture, 96, 64), frame_index=8), rows=(6, None)
    ),
    "LTXConditionPipeline at half strength": ltx_case(
        arguments=given(**LTX, video=lambda: [film(96, 64, 17)], denoise_strength=0.7, num_inference_steps=3)
    ),
    "LTX2Pipeline": ltx2_case(like_ltx.ltx2, arguments=given(**LTX2), order=(*BY_BATCH, "stg", "modality")),
    "LTX2Pipeline without registers": ltx2_case(
        partial(like_ltx.ltx2, registers=None), arguments=given(**LTX2, stg_scale=0.0, modality_scale=1.0, **ALONE)
    ),
    "LTX2ImageToVideoPipeline": ltx2_case(
        partial(like_ltx.ltx2, diffusers.LTX2ImageToVideoPipeline),
        arguments=given(**LTX2, image=partial(picture, 32, 32)),
        order=(*BY_BATCH, "stg", "modality"),
    ),
    "HunyuanVideo15Pipeline": hunyuan15_case(
        like_hunyuan.hunyuan_video15, arguments=given(width=16, height=16, num_frames=9)
    ),
    "HunyuanVideo15Pipeline with a quoted word": hunyuan15_case(
        like_hunyuan.hunyuan_video15,
        arguments=given(width=16, height=16, num_frames=9, prompt='a romantic kiss under a sign that says "red"'),
    ),
    "HunyuanVideo15ImageToVideoPipeline": hunyuan15_case(
        partial(like_hunyuan.hunyuan_video15, diffusers.HunyuanVideo15ImageToVideoPipeline, image=True),
        arguments=given(image=partial(picture, 16, 16), num_frames=9),
    ),
    "HunyuanVideoImageToVideoPipeline": hunyuan_case(
        like_hunyuan.hunyuan_video_from_image,
        arguments=given(width=64, height=48, num_frames=5, true_cfg_scale=6.0, image=wan_picture),
    ),
    "HunyuanVideoImageToVideoPipeline beside the latents": hunyuan_case(
        partial(like_hunyuan.hunyuan_video_from_image, "latent_concat"),
        arguments=given(width=64, height=48, num_frames=9, true_cfg_scale=6.0, image=wan_picture),
        grid=LatentGrid(3, 3, 4, 4, True),
        rows=(None, 36),
        video_frames=5,
    ),
    "HunyuanSkyreelsImageToVideoPipeline": hunyuan_case(
        like_hunyuan.skyreels,
        arguments=given(width=64, height=48, num_frames=5, guidance_scale=6.0, image=wan_picture),
    ),
    "HunyuanVideoPipeline": Case(
        families.hunyuan_video,
        WAN_GRID,
        3,
        given(width=64, height=48, num_frames=5, true_cfg_scale=6.0),
        rows=(None, 24),
        **NAMED,
    ),
    "MochiPipeline": Case(
        families.mochi, LatentGrid(2, 3, 4, 6, True), 2, given(width=64, height=48, num_frames=7), rows=(None, 24)
    ),
    "AnimateDiffPipeline": Case(
        families.animatediff,
        LatentGrid(3, 5, 8, 1, True),
        7,
        given(width=64, height=40, num_frames=3),
        frame_by_frame=True,
    ),
    "CosmosTextToWorldPipeline": cosmos_case(like_cosmos.cosmos1, arguments=given(**COSMOS)),
    "CosmosVideoToWorldPipeline": cosmos_case(
        partial(like_cosmos.cosmos1, diffusers.CosmosVideoToWorldPipeline, 1),
        arguments=given(**COSMOS, image=cosmos_picture),
    ),
    "Cosmos2VideoToWorldPipeline": cosmos_case(
        like_cosmos.cosmos2, grid=LatentGrid(3, 2, 2, 4, True), arguments=given(**COSMOS, image=cosmos_picture)
    ),
    "Cosmos2_5_PredictBasePipeline": cosmos_case(
        like_cosmos.cosmos25, grid=LatentGrid(3, 2, 2, 4, True), arguments=given(**COSMOS)
    ),
    "Kandinsky5T2VPipeline": kandinsky_case(like_sana.kandinsky5, arguments=given(**WAN, num_frames=5)),
    "Kandinsky5I2VPipeline": kandinsky_case(
        partial(like_sana.kandinsky5, diffusers.Kandinsky5I2VPipeline, visual_cond=True),
        grid=LatentGrid(6, 3, 4, 4, True),
        arguments=given(**WAN, num_frames=21, image=wan_picture),
    ),
    "SanaVideoPipeline": sana_case(like_sana.sana, arguments=given(**SANA)),
    "SanaImageToVideoPipeline": sana_case(
        partial(like_sana.sana, diffusers.SanaImageToVideoPipeline),
        arguments=given(**SANA, image=partial(picture, 64, 64)),
    ),
    "AllegroPipeline": Case(
        like_sana.allegro,
        LatentGrid(2, 3, 4, 4, False),
        2,
        given(width=64, height=48, num_frames=8),
        latents_only=True,
    ),
    "LattePipeline": Case(
        like_sana.latte,
        LatentGrid(2, 3, 4, 1, True),
        2,
        given(width=64, height=48, video_length=2, negative_prompt="a dog"),
        frame_by_frame=True,
    ),
    "EasyAnimatePipeline": easy_case(like_sana.easyanimate, arguments=given(width=64, height=48, num_frames=5)),
    "AnimateDiffControlNetPipeline": diff_case(
        partial(
            like_animatediff.animatediff,
            diffusers.AnimateDiffControlNetPipeline,
            controlnet=like_animatediff.control_net,
        ),
        arguments=given(width=64, height=40, num_frames=3, conditioning_frames=diff_film),
    ),
    "AnimateDiffSparseControlNetPipeline": diff_case(
        partial(
            like_animatediff.animatediff,
            diffusers.AnimateDiffSparseControlNetPipeline,
            controlnet=like_animatediff.sparse_control_net,
        ),
        arguments=given(
            width=64, height=40, num_frames=3, conditioning_frames=diff_film, controlnet_frame_indices=lambda: [0, 1, 2]
        ),
    ),
    "AnimateDiffVideoToVideoPipeline": diff_case(
        partial(like_animatediff.animatediff, diffusers.AnimateDiffVideoToVideoPipeline),
        arguments=given(width=64, height=40, video=diff_film, strength=0.7, num_inference_steps=3),
    ),
    "AnimateDiffVideoToVideoControlNetPipeline": diff_case(
        partial(
            like_animatediff.animatediff,
            diffusers.AnimateDiffVideoToVideoControlNetPipeline,
            controlnet=like_animatediff.control_net,
        ),
        arguments=given(
            width=64, height=40, video=diff_film, conditioning_frames=diff_film, strength=0.7, num_inference_steps=3
        ),
    ),
    "AnimateDiffPAGPipeline": diff_case(
        partial(like_animatediff.animatediff, diffusers.AnimateDiffPAGPipeline),
        arguments=given(width=64, height=40, num_frames=3),
        order=(*BY_BATCH, "perturbed"),
        source="parts of the batch",
    ),
    "AnimateDiffSDXLPipeline": diff_case(
        like_animatediff.sdxl, layers=14, arguments=given(width=64, height=40, num_frames=3)
    ),
    "PIAPipeline": diff_case(
        like_animatediff.pia,
        arguments=given(width=64, height=40, num_frames=3, image=partial(picture, 64, 40)),
    ),
    "TextToVideoSDPipeline": diff_case(
        like_animatediff.text_to_video, layers=4, arguments=given(width=64, height=40, num_frames=3)
    ),
    "VideoToVideoSDPipeline": diff_case(
        partial(like_animatediff.text_to_video, diffusers.VideoToVideoSDPipeline),
        layers=4,
        arguments=given(video=diff_film, strength=0.7, num_inference_steps=3),
    ),
    "LTX2ConditionPipeline": ltx2_case(
        partial(like_ltx.ltx2, diffusers.LTX2ConditionPipeline),
        arguments=given(**LTX2),
        order=(*BY_BATCH, "stg", "modality"),
    ),
}
CASES |= from_image.CASES
