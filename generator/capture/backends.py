"""The attention backends of diffusers, and how the log-sum-exp of each is had.

Users choose one with ``set_attention_backend``, `attention_backend` or the variable ``DIFFUSERS_ATTN_BACKEND``. What
the table promises is verified at the first call of each kind (`generator.capture.verified`).
"""

from dataclasses import dataclass
from enum import Enum

from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry


class LogSum(Enum):
    """How the log-sum-exp of a backend is had."""

    OWN_KERNEL = "own kernel"
    """It ends in torch's `scaled_dot_product_attention`, which `generator.capture.kernels` stands in for."""
    ASKED = "asked"
    """It returns it on request: `Backend.request` is set among the ``attention_kwargs``."""
    AGAIN = "again"
    """It does not tell: `generator.capture.second_pass`, or whole rows on devices that it knows no kernel for."""


@dataclass(frozen=True)
class Backend:
    """How the log-sum-exp of a backend is had, and what it computes."""

    log_sum: LogSum
    is_exact: bool = True
    """Whether it is the exact softmax, up to rounding."""
    is_fused: bool = True
    """Whether it is one kernel, which torch.compile does not take apart. Torch's kernels are known by their names."""
    request: str = "return_lse"


_OWN, _ASKED, _AGAIN = (Backend(how) for how in LogSum)
_QUANTISED = Backend(LogSum.AGAIN, is_exact=False)
"""SageAttention rounds queries and keys to 8 or 4 bits. Its log-sum-exp is that of the rounded scores."""

BACKENDS: dict[str, Backend] = {
    "native": _OWN,
    "_native_cudnn": _OWN,
    "_native_efficient": _OWN,
    "_native_flash": _OWN,
    "_native_math": _OWN,
    "flash": _ASKED,
    "flash_hub": _ASKED,
    "flash_varlen": _AGAIN,  # diffusers 0.42 takes what its kernel returns with a log-sum-exp for the output alone
    "flash_varlen_hub": _ASKED,
    "flash_4_hub": _ASKED,
    "_flash_3": _ASKED,
    "_flash_3_hub": Backend(LogSum.ASKED, request="return_attn_probs"),
    "_flash_3_varlen_hub": _ASKED,
    "_flash_varlen_3": _ASKED,
    "aiter_fa2_hub": _ASKED,
    # diffusers 0.42 takes what its kernel returns with a log-sum-exp for the output alone
    "flex": Backend(LogSum.AGAIN, is_fused=False),
    "xformers": _AGAIN,
    "_native_npu": _AGAIN,
    "_native_xla": _AGAIN,
    "sage": _QUANTISED,
    "sage_hub": _QUANTISED,
    "sage_blackwell_hub": _QUANTISED,
    "sage_varlen": _QUANTISED,
    "_sage_qk_int8_pv_fp8_cuda": _QUANTISED,
    "_sage_qk_int8_pv_fp8_cuda_sm90": _QUANTISED,
    "_sage_qk_int8_pv_fp16_cuda": _QUANTISED,
    "_sage_qk_int8_pv_fp16_triton": _QUANTISED,
}
UNKNOWN = _AGAIN
"""A backend that is not in the table: a later version of diffusers, or one that somebody registered."""


def active(given: str | None) -> str:
    """Return the name of the backend that ``dispatch_attention_fn`` uses if it is called with backend ``given``."""
    name = _AttentionBackendRegistry.get_active_backend()[0] if given is None else given
    return str(name.value if isinstance(name, AttentionBackendName) else name)
