"""The attention of an observed layer as one operator, so that torch.compile neither traces nor moves the observer.

Code that torch.compile traces cannot call an observer directly: it would be compiled, or break the graph, and a broken
graph fuses other operations, which changes the video's last bits. `scaled_dot_product_attention` is an operator that
the compiler calls as it is, so putting another operator in its place changes nothing else. CUDA graphs would replay an
operator without running its Python code; the tag `cudagraph_unsafe` keeps this one out of them.

Autocast casts the arguments of `scaled_dot_product_attention`, but not those of other operators, and compiled code runs
with autocast off. So the casts are made before the operator, where the compiler sees them as it would see torch's, and
autocast is switched on again inside of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from weakref import finalize

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor

from generator.capture.arguments import autocast_type, autocasted
from generator.capture.backends import BACKENDS, LogSum, active
from generator.capture.operators import TORCHS_OWN
from generator.capture.running import called_by_compiled_code, unobserved
from generator.errors import CaptureError

Attention = Callable[..., Tensor]
"""Takes query, key and value, and by keyword `attn_mask` and the other arguments of an attention function."""


@dataclass(frozen=True)
class Form:
    """What kind of attention function compiled code calls."""

    heads_first: bool
    """Whether the axes are [sample, head, token, dim], as torch's function takes them, or [sample, token, head, dim],
    as that of diffusers."""
    autocasted: frozenset[str | None]
    """The backends, None being the default, with which autocast casts its arguments: they end in torch's function."""


def form_of(function: Attention, *, heads_first: bool) -> Form:
    """Describe an attention function for `call_compiled`; ``heads_first`` as in `Form`."""
    if heads_first:
        return Form(heads_first, frozenset({None} if function is TORCHS_OWN else ()))
    named = {name for name, backend in BACKENDS.items() if backend.log_sum is LogSum.OWN_KERNEL}
    default = {None} if active(None) in named else set()
    return Form(heads_first, frozenset(named | default) if function is dispatch_attention_fn else frozenset())


_numbers = count()
_observed: dict[int, Attention] = {}


@contextmanager
def observed(attention: Attention, plain: Attention) -> Iterator[Tensor]:
    """Make an attention function callable from compiled code inside the context.

    Args:
        attention: the function to call inside the context
        plain: the one to call afterwards, if another program has kept what captured with the tag

    Yields:
        A tag to pass to `call_compiled`: a tensor on the CPU, because torch.compile would compile anew for each number.

    """
    number = next(_numbers)
    tag = torch.tensor(number, device="cpu")
    finalize(tag, _observed.pop, number, None).atexit = False
    _observed[number] = attention
    try:
        yield tag
    finally:
        _observed[number] = plain


def call_observed(tag: Tensor, *args: object, **kwargs: object) -> Tensor:
    """Call the attention function of a tag."""
    with unobserved():
        return _observed[int(tag)](*args, **kwargs)


def call_compiled(  # noqa: D417, PLR0917 - the signature of attention functions
    tag: Tensor,
    form: Form,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    attention_kwargs: dict[str, object] | None = None,
    *,
    backend: str | None = None,
    parallel_config: object = None,
) -> Tensor:
    """Call the attention function of a tag from code that torch.compile traces.

    Args:
        tag: from `observed`
        form: what kind of attention function is called
        query: as all that follow, an argument of ``dispatch_attention_fn`` of diffusers

    Raises:
        CaptureError: an argument cannot be passed through compiled code.

    """
    is_plain = not attention_kwargs and parallel_config is None
    named = None if backend is None else str(getattr(backend, "value", backend))
    autocast = autocast_type(query.device.type)
    if autocast is not None and named in form.autocasted:
        query, key, value = autocasted(query), autocasted(key), autocasted(value)
        attn_mask = None if attn_mask is None else autocasted(attn_mask)
    output: Tensor = _attention(
        tag,
        form.heads_first,
        query,
        key,
        value,
        attn_mask,
        dropout_p,
        is_causal,
        scale,
        enable_gqa,
        named,
        autocast,
        is_plain,
    )
    return output


def _run(  # noqa: PLR0917 - an operator's schema has no keywords here
    tag: Tensor,
    heads_first: bool,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    backend: str | None,
    autocast: torch.dtype | None,
    is_plain: bool,
) -> Tensor:
    if not is_plain:  # raised here, since the compiler would only leave code that raises uncompiled
        raise CaptureError(
            "found an attention processor that passes `attention_kwargs` or `parallel_config` inside a network "
            "compiled with torch.compile; expected neither. Generate without torch.compile, or without capture"
        )
    # By keyword, as the processors of diffusers pass them: the function may be another that somebody put in its place.
    named: dict[str, object] = {"attn_mask": attn_mask, "dropout_p": dropout_p, "is_causal": is_causal}
    others = {"scale": scale, "enable_gqa": enable_gqa or None, "backend": backend}
    named |= {name: value for name, value in others.items() if value is not None}
    with called_by_compiled_code(), torch.autocast(query.device.type, autocast, enabled=autocast is not None):
        output = call_observed(tag, query, key, value, **named)
    if output.dtype != query.dtype:
        raise CaptureError(
            f"found attention of {query.dtype} that returns {output.dtype}, inside a network compiled with "
            "torch.compile; expected the same type. Generate without torch.compile, autocast, or capture"
        )
    # The layout that `_layout` promises, which is the one that fused kernels produce: then nothing is copied.
    return output.transpose(1, 2).contiguous().transpose(1, 2) if heads_first else output.contiguous()


def _layout(_tag: Tensor, heads_first: bool, query: Tensor, _key: Tensor, value: Tensor, *_others: object) -> Tensor:
    """Return an empty tensor with the shape and layout of `_run`'s output."""
    first, second = (query.shape[2], query.shape[1]) if heads_first else (query.shape[1], query.shape[2])
    output = query.new_empty((query.shape[0], first, second, value.shape[3]))
    return output.transpose(1, 2) if heads_first else output


_attention = torch.library.custom_op(
    "attnwatch::observed_attention", _run, mutates_args=(), tags=(torch.Tag.cudagraph_unsafe,)
)
_attention.register_fake(_layout)
