"""Builds the components of the embedded model from their configurations, with random weights."""

from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from generator.tiny.captions import WORDS

TEXT_KEYS = 512
"""Number of tokens to which `WanPipeline` pads every prompt."""

TEXT_SCALE = 1.5
"""Initial scale of the query and key norms in cross-attention, so that a word stands out from 500 padding tokens."""

TEXT_ENCODER: dict[str, Any] = {"d_model": 96, "d_kv": 24, "d_ff": 192, "num_layers": 2, "num_heads": 4}
TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 1, 1),
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 96,
    "freq_dim": 64,
    "ffn_dim": 512,
    "num_layers": 6,
    "rope_max_seq_len": 64,
}
VAE: dict[str, Any] = {
    "base_dim": 16,
    "z_dim": 16,
    "dim_mult": [1, 2, 2],
    "num_res_blocks": 1,
    "temperal_downsample": [True, True],
    "is_residual": True,
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 8,
    "scale_factor_temporal": 4,
}
SCHEDULER: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}


def build(seed: int = 0) -> WanPipeline:
    """Build the pipeline with random weights, without changing the state of torch's global random generator."""
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = WanPipeline(
            tokenizer=tokenizer,
            text_encoder=UMT5EncoderModel(UMT5Config(vocab_size=len(tokenizer), dropout_rate=0.0, **TEXT_ENCODER)),
            vae=AutoencoderKLWan(**VAE),
            transformer=WanTransformer3DModel(**TRANSFORMER),
            scheduler=UniPCMultistepScheduler(**SCHEDULER),
        )
    for block in pipe.transformer.blocks:
        for norm in (block.attn2.norm_q, block.attn2.norm_k):
            nn.init.constant_(norm.weight, TEXT_SCALE)
    return pipe


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build a tokenizer of whole lower-case words with UMT5's special tokens; unknown words become ``<unk>``."""
    vocabulary = {token: number for number, token in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106 - not a password
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        model_max_length=TEXT_KEYS,
    )
