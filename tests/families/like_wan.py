"""Tiny pipelines with the architecture of Wan."""

from inspect import signature

import diffusers
import transformers

from tests.random_wan import build as build_wan


def _network(kind, pipe, **others):
    """Build a network with the settings of that of a Wan pipeline, as far as its class has them."""
    kept = {name: value for name, value in pipe.transformer.config.items() if not name.startswith("_")}
    known = signature(kind.__init__).parameters
    kept = {name: value for name, value in kept.items() if name in known and name != "num_layers"}
    return kind(**{**kept, "num_layers": 2, **others})


def _pipeline(kind, network=diffusers.WanTransformer3DModel, without=(), parts=(), **others):
    pipe = build_wan()
    found = {**pipe.components, "transformer": _network(network, pipe, **others), **dict(parts)}
    return kind(**{name: part for name, part in found.items() if name not in {"transformer_2", *without}})


def wan_video_to_video():
    return _pipeline(diffusers.WanVideoToVideoPipeline)


def wan_vace():
    return _pipeline(
        diffusers.WanVACEPipeline, diffusers.WanVACETransformer3DModel, vace_layers=[0, 1], vace_in_channels=96
    )


def skyreels(kind=diffusers.SkyReelsV2Pipeline, **others):
    return _pipeline(kind, diffusers.SkyReelsV2Transformer3DModel, **others)


def skyreels_from_image():
    return skyreels(
        diffusers.SkyReelsV2ImageToVideoPipeline,
        parts=clip_vision(),
        in_channels=36,
        image_dim=32,
        added_kv_proj_dim=96,
    )


def anyflow():
    return _pipeline(
        diffusers.AnyFlowPipeline,
        diffusers.AnyFlowTransformer3DModel,
        parts={"scheduler": diffusers.FlowMapEulerDiscreteScheduler()},
    )


def chronoedit():
    return _pipeline(
        diffusers.ChronoEditPipeline,
        diffusers.ChronoEditTransformer3DModel,
        parts=clip_vision(),
        in_channels=36,
        image_dim=32,
        added_kv_proj_dim=96,
    )


def clip_vision():
    """An image encoder of 17 tokens, and what prepares its pictures."""
    config = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8
    )
    size = {"height": 32, "width": 32}
    return {
        "image_encoder": transformers.CLIPVisionModel(config),
        "image_processor": transformers.CLIPImageProcessor(size=size, crop_size=size),
    }
