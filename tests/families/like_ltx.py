"""Tiny pipelines with the architectures of LTX-Video and LTX-2."""

import diffusers
import transformers

from tests import families
from tests.random_wan import build_tokenizer


def condition():
    parts = {**families.ltx().components, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    return diffusers.LTXConditionPipeline(**parts)


def ltx2(kind=diffusers.LTX2Pipeline, registers=128):
    tokenizer, encoder, audio = build_tokenizer(), _gemma(), _audio_vae()
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"
    return kind(
        tokenizer=tokenizer,
        text_encoder=encoder,
        connectors=_connectors(encoder.config.text_config, registers),
        transformer=diffusers.LTX2VideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=4,
            attention_head_dim=8,
            cross_attention_dim=32,
            audio_in_channels=4,
            audio_out_channels=4,
            audio_num_attention_heads=2,
            audio_attention_head_dim=4,
            audio_cross_attention_dim=8,
            num_layers=2,
            caption_channels=32,
            rope_double_precision=False,
            rope_type="split",
        ),
        vae=_vae(),
        audio_vae=audio,
        vocoder=diffusers.pipelines.ltx2.vocoder.LTX2Vocoder(
            in_channels=audio.config.output_channels * audio.config.mel_bins,
            hidden_channels=32,
            upsample_kernel_sizes=[4, 4],
            upsample_factors=[2, 2],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3, 5]],
            output_sampling_rate=16000,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )


def _gemma():
    text = transformers.Gemma3TextConfig(
        vocab_size=len(build_tokenizer()),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    vision = transformers.SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    return transformers.Gemma3ForConditionalGeneration(
        transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    )


def _connectors(encoder, registers):
    each = {"num_attention_heads": 4, "attention_head_dim": 8, "num_layers": 1, "num_learnable_registers": registers}
    return diffusers.pipelines.ltx2.connectors.LTX2TextConnectors(
        caption_channels=encoder.hidden_size,
        text_proj_in_factor=encoder.num_hidden_layers + 1,
        **{f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in each.items()},
        connector_rope_base_seq_len=32,
        rope_double_precision=False,
        rope_type="split",
    )


def _vae():
    return diffusers.AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8,),
        decoder_block_out_channels=(8,),
        layers_per_block=(1,),
        decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,),
        decoder_inject_noise=(False, False),
        downsample_type=("spatial",),
        upsample_residual=(False,),
        upsample_factor=(1,),
        patch_size=1,
        patch_size_t=1,
    )


def _audio_vae():
    return diffusers.AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
    )
