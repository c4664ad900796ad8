"""Tiny pipelines with the architectures of HunyuanVideo and HunyuanVideo 1.5."""

import diffusers
import transformers
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video_image2video import DEFAULT_PROMPT_TEMPLATE

from tests import families
from tests.families import byte_level_tokenizer

CHAT = """{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\n' }}
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}{%- for part in message['content'] -%}{{ part['text'] }}{%- endfor -%}{%- endif -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"""


def qwen_tokenizer(before="", length=0, texts=()):
    """Train a tokenizer with a chat template whose first ``length`` tokens are those before the user's text."""
    tokenizer = byte_level_tokenizer(
        "<|im_start|>",
        "<|endoftext|>",
        others=["<|im_end|>", "<|fill|>"],
        starts=0,
        ends=0,
        texts=[*families.CORPUS, before, *texts],
        length=2048,
    )
    missing = length - len(tokenizer(before)["input_ids"]) if length else 0
    assert missing >= 0
    tokenizer.chat_template = "<|fill|>" * missing + CHAT
    return tokenizer


def qwen(tokenizer, **others):
    """A text model of Qwen 2.5 VL."""
    return transformers.Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_scaling={"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
        rope_theta=1000000.0,
        **others,
    )


def hunyuan_video15(kind=diffusers.HunyuanVideo15Pipeline, image=False):
    network = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=32,
        text_embed_2_dim=32,
        image_embed_dim=32,
        rope_axes_dim=(2, 2, 4),
        target_size=16,
        task_type="i2v" if image else "t2v",
    )
    system = "You are a helpful assistant. Describe the video by detailing the following aspects"
    tokenizer = qwen_tokenizer()
    vae = diffusers.AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(16, 16),
        layers_per_block=1,
        spatial_compression_ratio=4,
        temporal_compression_ratio=4,
        downsample_match_channel=False,
        upsample_match_channel=False,
    )
    byt5 = transformers.ByT5Tokenizer()
    glyphs = transformers.T5Config(
        vocab_size=len(byt5), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4, is_encoder_decoder=False
    )
    parts = {
        "text_encoder": None,
        "tokenizer": tokenizer,
        "transformer": network,
        "vae": vae,
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder_2": transformers.T5EncoderModel(glyphs),
        "tokenizer_2": byt5,
        "guider": diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
        **(siglip() if image else {}),
    }
    pipe = kind(**parts)
    messages = [{"role": "system", "content": pipe.system_message}, {"role": "user", "content": "|"}]
    before = tokenizer.apply_chat_template(messages, tokenize=False).split("|<")[0]
    assert system in before
    tokenizer = qwen_tokenizer(before, pipe.prompt_template_encode_start_idx)
    encoder = transformers.Qwen2_5_VLTextModel(qwen(tokenizer))
    return kind(**{**parts, "tokenizer": tokenizer, "text_encoder": encoder})


def siglip():
    """An image encoder of 4 tokens, and what prepares its pictures."""
    vision = transformers.SiglipVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    size = {"height": 32, "width": 32}
    return {
        "image_encoder": transformers.SiglipVisionModel(vision),
        "feature_extractor": transformers.SiglipImageProcessor(size=size),
    }


def skyreels():
    """The image model of SkyReels V1."""
    parts = families.hunyuan_video(in_channels=8).components
    return diffusers.HunyuanSkyreelsImageToVideoPipeline(**parts)


def hunyuan_video_from_image(kind="token_replace"):
    parts = families.hunyuan_video(
        **(
            {"image_condition_type": kind}
            if kind == "token_replace"
            else {
                "image_condition_type": kind,
                "in_channels": 9,
            }
        )
    ).components
    before = DEFAULT_PROMPT_TEMPLATE["template"].split("{}")[0]
    tokenizer = _llava_tokenizer(before)
    text = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=96, patch_size=4
    )
    config = transformers.LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    size = {"height": 96, "width": 96}
    return diffusers.HunyuanVideoImageToVideoPipeline(
        **{
            **parts,
            "tokenizer": tokenizer,
            "text_encoder": transformers.LlavaForConditionalGeneration(config),
            "image_processor": transformers.CLIPImageProcessor(size=size, crop_size=size),
        }
    )


def _llava_tokenizer(before):
    """Train a tokenizer that splits the template before a prompt into the tokens that the pipeline crops."""

    def trained(starts):
        return byte_level_tokenizer(
            "<|begin_of_text|>",
            "<|eot_id|>",
            others=["<|start_header_id|>", "<|end_header_id|>", "<image>", "<pad>"],
            starts=starts,
            ends=0,
            texts=[*families.CORPUS, before],
            length=1024,
        )

    missing = DEFAULT_PROMPT_TEMPLATE["crop_start"] - len(trained(1)(before)["input_ids"])
    return trained(1 + missing)
