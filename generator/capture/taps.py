"""Observes a model while it generates a video, and restores it afterwards.

It taps four places. ``cache_context`` of a denoising network, if it has one, names the guidance branch and the
denoising step. The network's call gives the batch size. The forward function of each text attention layer gives the
running layer. The attention function, where the layers' processors look it up, receives query and key; its result is
passed on unchanged (`generator.capture.reading`).

Networks compiled with torch.compile are tapped in the same places. A network's call is wrapped outside of its compiled
code. The layers' functions are traced, and must therefore be plain functions without hidden state: torch.compile
notices that ``forward`` of a layer was replaced, compiles the network once more with the taps, and keeps both versions.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from types import ModuleType
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from generator.capture.arguments import DiffusersArguments, TorchArguments
from generator.capture.attention import AttentionCall
from generator.capture.dispatch import dispatched
from generator.capture.observed import Attention, observed
from generator.capture.reading import TORCH_ATTENTION, AttentionReader, Reads
from generator.capture.replacing import original, replaced
from generator.capture.running import here, recorded_by
from generator.errors import CaptureError, UsageError
from generator.models.contract import Arguments, TextAttention, VideoModel
from generator.models.parallel import refuse_split_networks

Call = ParamSpec("Call")
Result = TypeVar("Result")
TEXT = "encoder_hidden_states"
"""Argument by which the denoising networks of diffusers receive the encoded prompts."""
_TEXT_AXES = 3
CacheContext = Callable[..., AbstractContextManager[None]]


class CallContext(NamedTuple):
    """Guidance branch and denoising step of a network call, as the pipeline announces them; None if it does not."""

    branch: str | None
    step: int | None


@dataclass(frozen=True, eq=False)
class NetworkCall:
    """A call of a denoising network on ``batch`` latent videos, in a context that the pipeline may have announced."""

    denoiser: str
    context: CallContext
    batch: int
    arguments: Arguments
    again: Callable[[Arguments], object]
    """Calls the network with other arguments, without torch.compile; the listener hears nothing of it."""
    video: int = 0
    """Number of the video that is looked at, of ``videos`` that the pipeline makes at once."""
    videos: int = 1

    def sample(self, branch: int) -> int:
        """Return the number of the video's sample in the guidance branch number ``branch``."""
        return branch * self.videos + self.video

    @property
    def branch(self) -> str | None:
        """Name that the pipeline gives to the call."""
        return self.context.branch

    @property
    def step(self) -> int | None:
        """Denoising step that the pipeline names."""
        return self.context.step

    @property
    def text(self) -> Tensor | None:
        """What the network receives of the prompts, ``[sample, position, channel]``; None if it receives nothing.

        Some receive it with another axis of length 1 before the position.
        """
        text = self.arguments.get(TEXT)
        if not isinstance(text, Tensor):
            return None
        return text if text.ndim == _TEXT_AXES else text.flatten(1, -2)


class Listener(Protocol):
    """Receives the events of a tapped model."""

    @property
    def is_listening(self) -> bool:
        """Whether it still wants to receive events."""

    def fail(self, error: CaptureError) -> None:
        """Handle a call that cannot be read: raise the error, or take no more events."""

    def begin(self, call: NetworkCall) -> None:
        """Handle the start of a denoising network's call."""

    def end(self) -> None:
        """Handle the end of a denoising network's call; not called after an exception."""

    def see(self, layer: str, call: AttentionCall) -> None:
        """Handle a call of the attention function inside a text attention layer."""


@contextmanager
def tapped(model: VideoModel, listener: Listener) -> Iterator[None]:
    """Send the events of ``model`` to ``listener`` inside the context.

    Raises:
        CaptureError: if the model has an attention processor of an unknown type.
        ModelError: if a network is split over several processes.
        UsageError: if a network is tapped already.

    """
    refuse_split_networks(model)
    layers = model.text_attention()
    _refuse_unknown_processors(model, layers)
    reader = AttentionReader()
    with ExitStack() as stack:
        stack.enter_context(_claimed(model, layers))
        stack.enter_context(recorded_by(listener))
        for site, its_layers in _sites(model, layers).items():
            function = original(site, model.attention_function)
            for layer in its_layers:
                read = reader.of(layer.name, function, heads_first=site is functional)
                arguments = TorchArguments if site is functional else DiffusersArguments
                seen = _seen(layer.name, read, function, arguments, listener)
                tag = stack.enter_context(observed(seen, function))
                stack.enter_context(replaced(layer.module, "forward", _followed(layer.module.forward, tag)))
            stack.enter_context(dispatched(site, model.attention_function))
        for name, denoiser in model.denoisers().items():
            _announce(name, denoiser, listener, stack)
        yield


@contextmanager
def _claimed(model: VideoModel, layers: list[TextAttention]) -> Iterator[None]:
    """Keep others from tapping the same networks at the same time."""
    networks = [*model.denoisers().items(), *((layer.name, layer.module) for layer in layers)]
    mine = object()
    try:
        taken = [name for name, network in networks if _claims.setdefault(network, mine) is not mine]
        if taken:
            raise UsageError(
                f"{taken[0]}: found a recorded call of a pipeline that is using it; expected one such call at a time, "
                "because pipelines and their networks keep the state of a call. Let the calls wait for each other, or "
                "load a pipeline of its own for each thread"
            )
        yield
    finally:
        for _, network in networks:
            if _claims.get(network) is mine:
                del _claims[network]


_claims: dict[nn.Module, object] = {}


def _sites(model: VideoModel, layers: list[TextAttention]) -> dict[ModuleType, list[TextAttention]]:
    """Return the Python modules in which the layers' processors look up the attention function, with their layers."""
    sites: dict[ModuleType, list[TextAttention]] = defaultdict(list)
    for layer in layers:
        sites[site_of(model, layer)].append(layer)
    return sites


def site_of(model: VideoModel, layer: TextAttention) -> ModuleType:
    """Return the Python module in which a layer's processor looks up the attention function."""
    own = sys.modules[type(layer.module.processor).__module__]
    return functional if model.attention_function == TORCH_ATTENTION else own


def _refuse_unknown_processors(model: VideoModel, layers: list[TextAttention]) -> None:
    for layer in layers:
        found = type(layer.module.processor)
        if found not in model.processors:
            raise CaptureError(
                f"{layer.name}: found the attention processor {found.__qualname__}; expected "
                f"{' or '.join(known.__qualname__ for known in model.processors)} of diffusers 0.42. "
                "Capture does not know what other processors compute: remove it, or generate without capture"
            )


def _followed(forward: Callable[Call, Result], tag: Tensor) -> Callable[Call, Result]:
    """Wrap the forward function of a text attention layer to note that it is running. torch.compile may trace this."""

    @wraps(forward)
    def followed(*args: Call.args, **kwargs: Call.kwargs) -> Result:
        running = here()
        if running.layer is not None:  # inside of it, others have kept and restored the wrapper of an earlier capture
            return forward(*args, **kwargs)
        running.layer = tag
        try:
            return forward(*args, **kwargs)
        finally:
            running.layer = None

    return followed


def _seen(
    layer: str, read: Reads, function: Attention, arguments: type[TorchArguments], listener: Listener
) -> Attention:
    """Wrap an attention function to send the calls of a layer to the listener. torch.compile never traces this."""

    def seen(*args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - as the wrapped function
        if (look := here().look) is not None:
            look(layer, arguments(*args, **kwargs).call())
        if not _listens(listener):
            return function(*args, **kwargs)
        try:
            output, call = read(*args, **kwargs)
        except CaptureError as error:
            listener.fail(error)
            return function(*args, **kwargs)
        listener.see(layer, call)
        return output

    return seen


def _listens(listener: Listener) -> bool:
    """Whether what this thread does is for this listener: another thread, or another pipeline, may share a network."""
    return here().recording is listener and listener.is_listening


def _announce(name: str, denoiser: nn.Module, listener: Listener, stack: ExitStack) -> None:
    contexts = [CallContext(None, None)]
    # A network that was compiled in place is called through this attribute, which its compiled code lies behind.
    entry = "forward" if vars(denoiser).get("_compiled_call_impl") is None else "_compiled_call_impl"
    call = getattr(denoiser, entry)
    owner = getattr(denoiser, "_orig_mod", denoiser)  # what torch.compile(network) wraps
    names = list(signature(type(owner).forward).parameters)[1:]
    plain: Callable[..., object] = call if owner is denoiser and entry == "forward" else owner.forward

    def again(given: Arguments) -> object:
        with recorded_by(None):
            return plain(**given)

    @wraps(call)
    def announced(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the wrapped function
        if not _listens(listener):
            return call(*args, **kwargs)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        listener.begin(NetworkCall(name, contexts[-1], len(_latents(*args, **kwargs)), given, again))
        output = call(*args, **kwargs)
        listener.end()
        return output

    stack.enter_context(replaced(denoiser, entry, announced))
    if hasattr(owner, "cache_context"):
        cache_context: CacheContext = owner.cache_context  # type: ignore[assignment]
        stack.enter_context(replaced(owner, "cache_context", _noted(cache_context, contexts, listener)))


def _latents(
    sample: Tensor | None = None, *_others: object, hidden_states: Tensor | None = None, **_named: object
) -> Tensor:
    """Return the first argument of a denoising network; it is called ``hidden_states``, or ``sample`` by a UNet."""
    found = sample if hidden_states is None else hidden_states
    if found is None:
        raise CaptureError(
            "found a call of a denoising network without `hidden_states` or `sample`; expected its latents there. "
            "Use a pipeline of diffusers 0.42, or generate without capture"
        )
    return found


def _noted(cache_context: CacheContext, contexts: list[CallContext], listener: Listener) -> CacheContext:
    """Wrap ``cache_context`` to append the announced context to ``contexts`` while it is active."""

    @contextmanager
    def noted(name: str, **where: object) -> Iterator[None]:  # as diffusers names them: they may be given by keyword
        if not _listens(listener):
            with cache_context(name, **where):
                yield
            return
        step = where.get("step_index")
        contexts.append(CallContext(name, step if isinstance(step, int) else None))
        try:
            with cache_context(name, **where):
                yield
        finally:
            contexts.pop()

    return noted
