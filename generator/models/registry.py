"""The pipelines of diffusers that make videos from a text: their adapters, or what keeps them from being supported."""

from generator.errors import ModelError
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
    SkyReelsV2ForcingImageModel,
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
    "CogVideoXImageToVideoPipeline": cogvideox.CogVideoXImageToVideoModel,
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
    "LTXImageToVideoPipeline": ltx.LTXImageToVideoModel,
    "LTXPipeline": ltx.LTXModel,
    "LattePipeline": LatteModel,
    "LucyEditPipeline": wan.LucyEditModel,
    "MochiPipeline": MochiModel,
    "PIAPipeline": animatediff.PIAModel,
    "SanaImageToVideoPipeline": SanaImageModel,
    "SanaVideoPipeline": SanaVideoModel,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": SkyReelsV2ForcingImageModel,
    "SkyReelsV2DiffusionForcingPipeline": SkyReelsV2ForcingModel,
    "SkyReelsV2ImageToVideoPipeline": SkyReelsV2ImageModel,
    "SkyReelsV2Pipeline": SkyReelsV2Model,
    "TextToVideoSDPipeline": TextToVideoSDModel,
    "VideoToVideoSDPipeline": VideoToVideoSDModel,
    "WanImageToVideoPipeline": wan.WanImageToVideoModel,
    "WanPipeline": wan.WanModel,
    "WanVACEPipeline": wan.WanVACEModel,
    "WanVideoToVideoPipeline": wan.WanVideoToVideoModel,
}
"""Adapters by the name of the diffusers pipeline class."""

_WINDOWS = "it makes a video in several windows or chunks: a latent frame has several maps in each step"
_BROKEN = "it fails in diffusers 0.42.1 itself"

MISSING: dict[str, str] = {
    "AnyFlowFARPipeline": _WINDOWS,
    "ConsisIDPipeline": "its blocks of faces come from other programs, with which it was not tested",
    "Cosmos2_5_TransferPipeline": _WINDOWS,
    "Cosmos3OmniPipeline": "text and video are packed into one sequence, in which capture cannot tell their keys apart",
    "EasyAnimateControlPipeline": _BROKEN,
    "EasyAnimateInpaintPipeline": _BROKEN,
    "HeliosPipeline": _WINDOWS,
    "HeliosPyramidPipeline": _WINDOWS,
    "HunyuanVideoFramepackPipeline": _WINDOWS,
    "I2VGenXLPipeline": _BROKEN,
    "Kandinsky6SRPipeline": "it enlarges a video that has been generated",
    "Kandinsky6TI2VAPipeline": "its joint layers of text, video and sound are not known to capture",
    "LTX2DFRPipeline": "it changes the rate of frames between passes",
    "LTX2DFRTemporalRefinePipeline": "it changes the rate of frames of a video that has been generated",
    "LTX2HDRPipeline": "its references add latent tokens in an order that capture does not know",
    "LTX2InContextPipeline": "its references add latent tokens in an order that capture does not know",
    "LTXI2VLongMultiPromptPipeline": _WINDOWS,
    "MotifVideoImage2VideoPipeline": "its layers attend to the text in two ways, in some of the blocks only",
    "MotifVideoPipeline": "its layers attend to the text in two ways, in some of the blocks only",
    "SanaWMPipeline": "its layers see cameras too, and are not known to capture",
    "SkyReelsV2DiffusionForcingVideoToVideoPipeline": _WINDOWS,
    "TextToVideoZeroPipeline": "it replaces the attention processors of an image model in each call",
    "TextToVideoZeroSDXLPipeline": "it replaces the attention processors of an image model in each call",
    "WanAnimatePipeline": _WINDOWS,
}
"""What keeps a class that makes videos from a text from being supported, by its name."""


def unknown(model: str, kind: str) -> ModelError:
    """Return the error for a pipeline class that is not supported."""
    why = f": {MISSING[kind]}" if kind in MISSING else ""
    return ModelError(
        f"model {model}: found a {kind}, which this generator does not support{why}. "
        f"Expected one of {', '.join(sorted(FAMILIES))}"
    )
