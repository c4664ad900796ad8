"""The pipelines of diffusers that make videos from a text: their adapters, or what keeps them from being supported."""

from generator.models.families import animatediff, cogvideox, cosmos, hunyuan_video, hunyuan_video15, ltx, ltx2, wan
from generator.models.families.allegro import AllegroModel
from generator.models.families.base import PipelineModel
from generator.models.families.easyanimate import EasyAnimateModel
from generator.models.families.kandinsky5 import Kandinsky5ImageModel, Kandinsky5Model
from generator.models.families.latte import LatteModel
from generator.models.families.mochi import MochiModel
from generator.models.families.sana_video import SanaImageModel, SanaVideoModel
from generator.models.families.text_to_video_sd import TextToVideoSDModel, VideoToVideoSDModel
from generator.models.families.wan_relatives import (
    AnyFlowModel,
    ChronoEditModel,
    SkyReelsV2ForcingModel,
    SkyReelsV2ImageModel,
    SkyReelsV2Model,
)

FAMILIES: dict[str, type[PipelineModel]] = {
    "AllegroPipeline": AllegroModel,
    "AnimateDiffControlNetPipeline": animatediff.AnimateDiffControlModel,
    "AnimateDiffPAGPipeline": animatediff.AnimateDiffPAGModel,
    "AnimateDiffPipeline": animatediff.AnimateDiffModel,
    "AnimateDiffSDXLPipeline": animatediff.AnimateDiffSDXLModel,
    "AnimateDiffSparseControlNetPipeline": animatediff.AnimateDiffControlModel,
    "AnimateDiffVideoToVideoControlNetPipeline": animatediff.AnimateDiffVideoModel,
    "AnimateDiffVideoToVideoPipeline": animatediff.AnimateDiffVideoModel,
    "AnyFlowPipeline": AnyFlowModel,
    "ChronoEditPipeline": ChronoEditModel,
    "CogVideoXFunControlPipeline": cogvideox.CogVideoXFunControlModel,
    "CogVideoXPipeline": cogvideox.CogVideoXModel,
    "CogVideoXVideoToVideoPipeline": cogvideox.CogVideoXVideoToVideoModel,
    "Cosmos2VideoToWorldPipeline": cosmos.Cosmos2VideoModel,
    "Cosmos2_5_PredictBasePipeline": cosmos.Cosmos25Model,
    "CosmosTextToWorldPipeline": cosmos.CosmosModel,
    "CosmosVideoToWorldPipeline": cosmos.CosmosVideoModel,
    "EasyAnimatePipeline": EasyAnimateModel,
    "HunyuanSkyreelsImageToVideoPipeline": hunyuan_video.HunyuanSkyreelsModel,
    "HunyuanVideo15ImageToVideoPipeline": hunyuan_video15.HunyuanVideo15ImageModel,
    "HunyuanVideo15Pipeline": hunyuan_video15.HunyuanVideo15Model,
    "HunyuanVideoImageToVideoPipeline": hunyuan_video.HunyuanVideoImageModel,
    "HunyuanVideoPipeline": hunyuan_video.HunyuanVideoModel,
    "Kandinsky5I2VPipeline": Kandinsky5ImageModel,
    "Kandinsky5T2VPipeline": Kandinsky5Model,
    "LTX2ConditionPipeline": ltx2.LTX2ConditionModel,
    "LTX2ImageToVideoPipeline": ltx2.LTX2ImageModel,
    "LTX2Pipeline": ltx2.LTX2Model,
    "LTXConditionPipeline": ltx.LTXConditionModel,
    "LTXPipeline": ltx.LTXModel,
    "LattePipeline": LatteModel,
    "MochiPipeline": MochiModel,
    "PIAPipeline": animatediff.PIAModel,
    "SanaImageToVideoPipeline": SanaImageModel,
    "SanaVideoPipeline": SanaVideoModel,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": SkyReelsV2ForcingModel,
    "SkyReelsV2DiffusionForcingPipeline": SkyReelsV2ForcingModel,
    "SkyReelsV2ImageToVideoPipeline": SkyReelsV2ImageModel,
    "SkyReelsV2Pipeline": SkyReelsV2Model,
    "TextToVideoSDPipeline": TextToVideoSDModel,
    "VideoToVideoSDPipeline": VideoToVideoSDModel,
    "WanPipeline": wan.WanModel,
    "WanVACEPipeline": wan.WanVACEModel,
    "WanVideoToVideoPipeline": wan.WanVideoToVideoModel,
}
"""Adapters by the name of the diffusers pipeline class."""
