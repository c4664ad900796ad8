"""Tiny pipelines of Cosmos."""

from types import SimpleNamespace

import diffusers
import transformers
from diffusers.models.transformers import transformer_cosmos
from torch.nn import functional

from tests import families
from tests.families.like_hunyuan import qwen, qwen_tokenizer
from tests.random_wan import VAE, build_tokenizer

if not hasattr(transformer_cosmos, "transforms"):  # as torchvision, which is not needed for anything else
    transformer_cosmos.transforms = SimpleNamespace(
        functional=SimpleNamespace(resize=lambda mask, size, interpolation: functional.interpolate(mask, size)),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )


class Unguarded:
    """Stands in for the safety checker, which is a program of its own."""

    def to(self, *args, **kwargs):
        return self

    def check_text_safety(self, prompt):
        return True

    def check_video_safety(self, video):
        return video


def _network(channels, **others):
    return diffusers.CosmosTransformer3DModel(
        in_channels=channels,
        out_channels=others.pop("out_channels", channels),
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        mlp_ratio=2,
        text_embed_dim=32,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0),
        concat_padding_mask=True,
        **others,
    )


def cosmos1(kind=diffusers.CosmosTextToWorldPipeline, condition=0):
    return kind(
        tokenizer=build_tokenizer(),
        text_encoder=families.t5(),
        transformer=_network(4 + condition, out_channels=4, extra_pos_embed_type="learnable"),
        vae=diffusers.AutoencoderKLCosmos(
            latent_channels=4,
            encoder_block_out_channels=(8, 8, 8, 8),
            decode_block_out_channels=(8, 8, 8, 8),
            attention_resolutions=(8,),
            resolution=64,
            num_layers=2,
            patch_size=4,
            spatial_compression_ratio=4,
            temporal_compression_ratio=4,
        ),
        scheduler=diffusers.EDMEulerScheduler(
            sigma_min=0.002, sigma_max=80, sigma_data=0.5, sigma_schedule="karras", final_sigmas_type="sigma_min"
        ),
        safety_checker=Unguarded(),
    )


def cosmos2(kind=diffusers.Cosmos2VideoToWorldPipeline):
    return kind(
        tokenizer=build_tokenizer(),
        text_encoder=families.t5(),
        transformer=_network(17, out_channels=16, extra_pos_embed_type=None),
        vae=diffusers.AutoencoderKLWan(**VAE),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
        safety_checker=Unguarded(),
    )


def cosmos25():
    tokenizer = qwen_tokenizer()
    text = qwen(tokenizer)
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    config = transformers.Qwen2_5_VLConfig(text_config=text.to_dict(), vision_config=vision)
    layers = text.num_hidden_layers
    return diffusers.Cosmos2_5_PredictBasePipeline(
        tokenizer=tokenizer,
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
        transformer=_network(
            17,
            out_channels=16,
            extra_pos_embed_type=None,
            use_crossattn_projection=True,
            crossattn_proj_in_channels=32 * layers,
            encoder_hidden_states_channels=32,
        ),
        vae=diffusers.AutoencoderKLWan(**VAE, latents_mean=[0.0] * 16, latents_std=[1.0] * 16),
        scheduler=diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
        safety_checker=Unguarded(),
    )
