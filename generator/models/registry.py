"""The pipelines of diffusers that make videos from a text: their adapters, or what keeps them from being supported."""

from generator.models.families.animatediff import AnimateDiffModel
from generator.models.families.base import PipelineModel
from generator.models.families.cogvideox import CogVideoXFunControlModel, CogVideoXModel, CogVideoXVideoToVideoModel
from generator.models.families.hunyuan_video import HunyuanVideoModel
from generator.models.families.ltx import LTXConditionModel, LTXModel
from generator.models.families.mochi import MochiModel
from generator.models.families.wan import WanModel, WanVACEModel, WanVideoToVideoModel
from generator.models.families.wan_relatives import (
    AnyFlowModel,
    ChronoEditModel,
    SkyReelsV2ForcingModel,
    SkyReelsV2ImageModel,
    SkyReelsV2Model,
)

FAMILIES: dict[str, type[PipelineModel]] = {
    "AnimateDiffPipeline": AnimateDiffModel,
    "AnyFlowPipeline": AnyFlowModel,
    "ChronoEditPipeline": ChronoEditModel,
    "CogVideoXFunControlPipeline": CogVideoXFunControlModel,
    "CogVideoXPipeline": CogVideoXModel,
    "CogVideoXVideoToVideoPipeline": CogVideoXVideoToVideoModel,
    "HunyuanVideoPipeline": HunyuanVideoModel,
    "LTXConditionPipeline": LTXConditionModel,
    "LTXPipeline": LTXModel,
    "MochiPipeline": MochiModel,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": SkyReelsV2ForcingModel,
    "SkyReelsV2DiffusionForcingPipeline": SkyReelsV2ForcingModel,
    "SkyReelsV2ImageToVideoPipeline": SkyReelsV2ImageModel,
    "SkyReelsV2Pipeline": SkyReelsV2Model,
    "WanPipeline": WanModel,
    "WanVACEPipeline": WanVACEModel,
    "WanVideoToVideoPipeline": WanVideoToVideoModel,
}
"""Adapters by the name of the diffusers pipeline class."""
