"""Tiny pipelines of every family: the real diffusers classes with small components and random weights."""

from functools import partial

import diffusers
import torch
import transformers
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from tests.families.like_wan import clip_vision
from tests.random_wan import build as build_wan
from tests.random_wan import build_tokenizer

CORPUS = ["a romantic kiss between two men and a dog", "kissing in the rain", "blurry, low quality"]
CLIP_LENGTH = 77


def t5():
    config = transformers.T5Config(
        vocab_size=len(build_tokenizer()), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    return transformers.T5EncoderModel(config)


def byte_level_tokenizer(start, end, *, others=(), starts=1, ends=1, texts=CORPUS, length):
    """Train a byte-level tokenizer that adds ``starts`` start tokens and ``ends`` end tokens to each text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=[start, end, *others],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join([start] * starts + ["$A"] + [end] * ends),
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (start, end)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=end, model_max_length=length
    )


def _llama_tokenizer():
    """Train a tokenizer that splits the template before a prompt into exactly the 95 tokens that the pipeline crops."""
    template = DEFAULT_PROMPT_TEMPLATE["template"]
    before = template[: template.index("{}")]

    def trained(starts):
        return byte_level_tokenizer(
            "<|begin_of_text|>",
            "<|eot_id|>",
            others=["<|start_header_id|>", "<|end_header_id|>"],
            starts=starts,
            ends=0,
            texts=[*CORPUS, before],
            length=1024,
        )

    missing = DEFAULT_PROMPT_TEMPLATE["crop_start"] - len(trained(1)(before)["input_ids"])
    return trained(1 + missing)


def clip(tokenizer):
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CLIP_LENGTH,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return transformers.CLIPTextModel(config)


def build_clip_tokenizer():
    return byte_level_tokenizer("<|startoftext|>", "<|endoftext|>", length=CLIP_LENGTH)


def wan():
    return build_wan()


def wan_of_two_networks():
    """Wan 2.2, with a second network for low noise levels."""
    pipe = build_wan()
    second = diffusers.WanTransformer3DModel.from_config(pipe.transformer.config)
    return diffusers.WanPipeline(**{**pipe.components, "transformer_2": second}, boundary_ratio=0.9)


def wan_from_image(*, two_networks=False, expand_timesteps=False, seen=None, place_for_last=False):
    """Wan from an image: 2.1, whose image is ``seen`` by the attention of blocks too; 2.2; and TI2V."""
    parts = build_wan().components
    config = {name: value for name, value in parts["transformer"].config.items() if name != "_use_default_values"}
    if not expand_timesteps:
        config["in_channels"] = 16 + 4 + 16  # noise, mask and image
    if seen:
        parts |= clip_vision()
        config |= {"image_dim": 32, "added_kv_proj_dim": config["attention_head_dim"] * config["num_attention_heads"]}
        config["pos_embed_seq_len"] = 2 * IMAGE_TOKENS if place_for_last else None
    networks = [diffusers.WanTransformer3DModel.from_config(config) for _ in range(1 + two_networks)]
    parts |= dict(zip(("transformer", "transformer_2"), networks, strict=False))
    ratio = 0.9 if two_networks else None
    return diffusers.WanImageToVideoPipeline(**parts, boundary_ratio=ratio, expand_timesteps=expand_timesteps)


IMAGE_TOKENS = 17
"""Tokens of an image in `clip_vision`: 4 x 4 patches, and one for all."""


def wan_of_text_and_images():
    """TI2V, whose index names the class for text."""
    return diffusers.WanPipeline(**build_wan().components, expand_timesteps=True)


def lucy_edit():
    parts = build_wan().components
    config = {**parts["transformer"].config, "in_channels": 32}
    return diffusers.LucyEditPipeline(**{**parts, "transformer": diffusers.WanTransformer3DModel.from_config(config)})


def cogvideox_from_image(**transformer):
    """CogVideoX from an image: with learned positions, as the 5B model, unless ``transformer`` says otherwise."""
    return diffusers.CogVideoXImageToVideoPipeline(
        **cogvideox(**{"in_channels": 8, "use_learned_positional_embeddings": True, **transformer}).components
    )


def ltx_from_image():
    return diffusers.LTXImageToVideoPipeline(**ltx().components)


def cogvideox(in_channels=4, **transformer):
    return diffusers.CogVideoXPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=t5(),
        vae=diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        transformer=diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=4,
            attention_head_dim=16,
            in_channels=in_channels,
            out_channels=4,
            time_embed_dim=8,
            text_embed_dim=32,
            num_layers=2,
            max_text_seq_length=32,
            use_rotary_positional_embeddings=True,
            **{"sample_width": 8, "sample_height": 6, "sample_frames": 9, **transformer},
        ),
        scheduler=diffusers.CogVideoXDDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True),
    )


def cogvideox_in_pairs():
    """CogVideoX 1.5, whose tokens cover pairs of latent frames."""
    return cogvideox(patch_size_t=2, patch_bias=False)


def ltx(**vae):
    return diffusers.LTXPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=t5(),
        vae=diffusers.AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
            **vae,
        ),
        transformer=diffusers.LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=4,
            attention_head_dim=8,
            cross_attention_dim=32,
            num_layers=2,
            caption_channels=32,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )


def hunyuan_video(in_channels=4, **network):
    tokenizer, clip_tokenizer = _llama_tokenizer(), build_clip_tokenizer()
    return diffusers.HunyuanVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=transformers.LlamaModel(
            transformers.LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
            )
        ),
        tokenizer_2=clip_tokenizer,
        text_encoder_2=clip(clip_tokenizer),
        vae=diffusers.AutoencoderKLHunyuanVideo(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            mid_block_add_attention=False,
        ),
        transformer=diffusers.HunyuanVideoTransformer3DModel(
            in_channels=in_channels,
            out_channels=4,
            num_attention_heads=4,
            attention_head_dim=16,
            num_layers=1,
            num_single_layers=2,
            num_refiner_layers=1,
            text_embed_dim=32,
            pooled_projection_dim=32,
            rope_axes_dim=(4, 6, 6),
            **network,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
    )


def mochi():
    return diffusers.MochiPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=t5(),
        vae=diffusers.AutoencoderKLMochi(
            encoder_block_out_channels=(32, 32, 32, 32),
            decoder_block_out_channels=(32, 32, 32, 32),
            layers_per_block=(1, 1, 1, 1, 1),
            add_attention_block=(False, False, False, False, False),
        ),
        transformer=diffusers.MochiTransformer3DModel(
            num_attention_heads=4,
            attention_head_dim=8,
            num_layers=2,
            pooled_projection_dim=16,
            text_embed_dim=32,
            time_embed_dim=8,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    )


def animatediff():
    tokenizer = build_clip_tokenizer()
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=32,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )
    adapter = diffusers.MotionAdapter(
        block_out_channels=(8, 16, 16),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
    )
    return diffusers.AnimateDiffPipeline(
        tokenizer=tokenizer,
        text_encoder=clip(tokenizer),
        vae=diffusers.AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=2,
        ),
        unet=unet,
        motion_adapter=adapter,
        scheduler=diffusers.DDIMScheduler(beta_schedule="linear", steps_offset=1, clip_sample=False),
    )


FAMILIES = {
    "wan": wan,
    "wan2.2": wan_of_two_networks,
    "cogvideox": cogvideox,
    "cogvideox1.5": cogvideox_in_pairs,
    "ltx": ltx,
    "hunyuan": hunyuan_video,
    "mochi": mochi,
    "animatediff": animatediff,
    "wan2.1-i2v": partial(wan_from_image, seen=True),
    "wan2.1-flf2v": partial(wan_from_image, seen=True, place_for_last=True),
    "wan2.2-i2v": partial(wan_from_image, two_networks=True),
    "wan2.2-ti2v": wan_of_text_and_images,
    "lucy-edit": lucy_edit,
    "cogvideox-i2v": cogvideox_from_image,
    "cogvideox-5b-i2v": partial(cogvideox_from_image, sample_width=90, sample_height=60, sample_frames=49),
    "cogvideox1.5-i2v": partial(
        cogvideox_from_image, use_learned_positional_embeddings=False, patch_size_t=2, patch_bias=False, ofs_embed_dim=8
    ),
    "ltx-i2v": ltx_from_image,
}


def build(name):
    """Build the pipeline of a family with random weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FAMILIES[name]()
