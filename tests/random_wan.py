"""A complete Wan pipeline with random weights from a fixed seed, and a tokenizer that covers every script."""

from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

SEED = 0

# Words that are single tokens. The tokenizer splits other words into letters, and other characters into bytes.
WORDS = """
a an the and or of in on at with between near under over to from by his her their two three one many some
man woman men women boy girl child people person couple dog cat bird horse fish lion bear
kiss hug smile dance dancing run running walk walking sit sitting stand standing look looking hold holding
flower flowers tree trees house city street beach sea river mountain forest garden sky sun moon star rain snow
red blue green yellow black white pink golden big small old young happy sad romantic beautiful bright dark
slow fast video film scene close up light night day morning evening car boat ball hat umbrella
"""
ENDINGS = ("ing", "ed", "er", "ly")

TEXT_ENCODER: dict[str, Any] = {"d_model": 48, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_heads": 4}
TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 4,
    "attention_head_dim": 24,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 48,
    "freq_dim": 64,
    "ffn_dim": 192,
    "num_layers": 4,
    "rope_max_seq_len": 128,
}
VAE: dict[str, Any] = {
    "base_dim": 4,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}
SCHEDULER: dict[str, Any] = {
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "flow_shift": 3.0,
}


def build() -> WanPipeline:
    """Build the pipeline without changing the state of torch's global random generator."""
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return WanPipeline(
            tokenizer=tokenizer,
            text_encoder=UMT5EncoderModel(UMT5Config(vocab_size=len(tokenizer), **TEXT_ENCODER)),
            vae=AutoencoderKLWan(**VAE),
            transformer=WanTransformer3DModel(**TRANSFORMER),
            scheduler=UniPCMultistepScheduler(**SCHEDULER),
        )


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build a SentencePiece-like tokenizer with UMT5's special tokens that covers every script."""
    tokenizer = Tokenizer(models.Unigram(_vocabulary(), unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=512,
    )


def _vocabulary() -> list[tuple[str, float]]:
    """List pieces and their log-probabilities, which prefer few long pieces to many short ones."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(f"▁{word}", -5.0) for word in WORDS.split()]
    endings = [(ending, -6.0) for ending in ENDINGS]
    letters = [(letter, -8.0) for letter in "▁abcdefghijklmnopqrstuvwxyz,."]
    single_bytes = [(f"<0x{byte:02X}>", -12.0) for byte in range(256)]
    return special + words + endings + letters + single_bytes
