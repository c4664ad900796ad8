"""Tiny pipelines with UNets: the relatives of AnimateDiff, and text-to-video synthesis."""

import diffusers
import transformers

from tests import families


def animatediff(kind, without=(), **parts):
    """Build a pipeline of the parts of AnimateDiff."""
    found = {**families.animatediff().components, **{name: part() for name, part in parts.items()}}
    return kind(**{name: part for name, part in found.items() if name not in without})


def control_net():
    return diffusers.ControlNetModel(
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=32,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        conditioning_embedding_out_channels=(8, 8, 8, 8),
    )


def sparse_control_net():
    return diffusers.SparseControlNetModel(
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=32,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion", "DownBlockMotion"),
        conditioning_embedding_out_channels=(8, 8, 8, 8),
        conditioning_channels=3,
        concat_conditioning_mask=False,
        use_simplified_condition_embedding=False,
    )


def sdxl():
    tokenizer = families.build_clip_tokenizer()
    second = families.build_clip_tokenizer()
    config = families.clip(second).config
    return diffusers.AnimateDiffSDXLPipeline(
        **{
            **families.animatediff().components,
            "tokenizer": tokenizer,
            "text_encoder": families.clip(tokenizer),
            "tokenizer_2": second,
            "text_encoder_2": transformers.CLIPTextModelWithProjection(config),
            "unet": diffusers.UNet2DConditionModel(
                sample_size=8,
                block_out_channels=(8, 16, 16),
                layers_per_block=1,
                norm_num_groups=2,
                cross_attention_dim=64,
                attention_head_dim=(2, 2, 2),
                transformer_layers_per_block=(1, 2, 2),
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=32 + 6 * 8,
                use_linear_projection=True,
            ),
        }
    )


def pia():
    parts = families.animatediff().components
    unet = diffusers.UNet2DConditionModel.from_config({**_plain(families_unet()), "in_channels": 9})
    return diffusers.PIAPipeline(**{**parts, "unet": unet})


def families_unet():
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=32,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )


def _plain(network):
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def text_to_video(kind=diffusers.TextToVideoSDPipeline):
    tokenizer = families.build_clip_tokenizer()
    return kind(
        tokenizer=tokenizer,
        text_encoder=families.clip(tokenizer),
        vae=families.animatediff().vae,
        unet=diffusers.UNet3DConditionModel(
            sample_size=8,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=2,
            cross_attention_dim=32,
            attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        ),
        scheduler=diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=False),
    )
