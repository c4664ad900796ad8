"""Tiny pipelines of SANA-Video, Allegro, Latte, EasyAnimate and Kandinsky 5."""

import diffusers
import transformers

from tests import families
from tests.families.like_hunyuan import qwen, qwen_tokenizer
from tests.random_wan import VAE, build_tokenizer


def sana(kind=diffusers.SanaVideoPipeline):
    tokenizer = build_tokenizer()
    gemma = transformers.Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    return kind(
        tokenizer=tokenizer,
        text_encoder=transformers.Gemma2Model(gemma),
        vae=diffusers.AutoencoderKLWan(**VAE),
        transformer=diffusers.SanaVideoTransformer3DModel(
            in_channels=16,
            out_channels=16,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=2,
            num_cross_attention_heads=2,
            cross_attention_head_dim=12,
            cross_attention_dim=24,
            caption_channels=32,
            mlp_ratio=2.5,
            patch_size=(1, 2, 2),
            sample_size=30,
            qk_norm="rms_norm_across_heads",
            rope_max_seq_len=32,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )


def allegro():
    return diffusers.AllegroPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=families.t5(),
        vae=diffusers.AutoencoderKLAllegro(
            down_block_types=("AllegroDownBlock3D",) * 4,
            up_block_types=("AllegroUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        transformer=diffusers.AllegroTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            cross_attention_dim=24,
            sample_width=8,
            sample_height=8,
            sample_frames=8,
            caption_channels=32,
        ),
        scheduler=diffusers.DDIMScheduler(),
    )


def latte():
    return diffusers.LattePipeline(
        tokenizer=build_tokenizer(),
        text_encoder=families.t5(),
        vae=diffusers.AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=2,
        ),
        transformer=diffusers.LatteTransformer3DModel(
            sample_size=8,
            num_layers=2,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=3,
            caption_channels=32,
            in_channels=4,
            cross_attention_dim=24,
            out_channels=8,
            attention_bias=True,
            activation_fn="gelu-approximate",
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            norm_eps=1e-6,
            video_length=2,
        ),
        scheduler=diffusers.DDIMScheduler(),
    )


def easyanimate():
    tokenizer = qwen_tokenizer()
    vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 32}
    text = qwen(tokenizer).to_dict()
    return diffusers.EasyAnimatePipeline(
        tokenizer=tokenizer,
        text_encoder=transformers.Qwen2VLForConditionalGeneration(
            transformers.Qwen2VLConfig(text_config=text, vision_config=vision)
        ),
        vae=diffusers.AutoencoderKLMagvit(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=2,
        ),
        transformer=diffusers.EasyAnimateTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=4,
            time_embed_dim=8,
            text_embed_dim=32,
            num_layers=2,
            sample_width=8,
            sample_height=8,
            patch_size=2,
            mmdit_layers=1,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )


def kandinsky5(kind=diffusers.Kandinsky5T2VPipeline, visual_cond=False):
    def build(tokenizer):
        text = qwen(tokenizer)
        vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
        config = transformers.Qwen2_5_VLConfig(text_config=text.to_dict(), vision_config=vision)
        clip_tokenizer = families.build_clip_tokenizer()
        return kind(
            tokenizer=tokenizer,
            text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
            tokenizer_2=clip_tokenizer,
            text_encoder_2=families.clip(clip_tokenizer),
            vae=diffusers.AutoencoderKLHunyuanVideo(
                latent_channels=4,
                block_out_channels=(8, 8, 8, 8),
                layers_per_block=1,
                norm_num_groups=4,
                mid_block_add_attention=False,
            ),
            transformer=diffusers.Kandinsky5Transformer3DModel(
                in_visual_dim=4,
                in_text_dim=32,
                in_text_dim2=32,
                time_dim=16,
                out_visual_dim=4,
                patch_size=(1, 2, 2),
                model_dim=16,
                ff_dim=32,
                num_text_blocks=1,
                num_visual_blocks=2,
                axes_dims=(2, 2, 4),
                visual_cond=visual_cond,
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        )

    first = build(qwen_tokenizer())
    before = first.prompt_template.split("{}")[0]
    return build(_cropping(before, first.prompt_template_encode_start_idx))


def _cropping(before, length):
    """Train a tokenizer that splits the template before a prompt into exactly the tokens that the pipeline crops."""

    def trained(starts):
        tokenizer = families.byte_level_tokenizer(
            "<|begin|>",
            "<|endoftext|>",
            others=[
                "<|im_start|>",
                "<|im_end|>",
                "<|image_pad|>",
                "<|video_pad|>",
                "<|vision_start|>",
                "<|vision_end|>",
            ],
            starts=starts,
            ends=0,
            texts=[*families.CORPUS, before],
            length=2048,
        )
        tokenizer.chat_template = "{{ messages }}"
        return tokenizer

    return trained(1 + length - len(trained(1)(before)["input_ids"]))
