"""Which networks are compiled, in each form that people use, and what is refused before the first video."""

import pytest
import torch

from generator.errors import ModelError
from generator.models import compiling
from generator.models.compiling import compile_denoisers, how_compiled
from generator.outputs.describe import describe_call
from tests import families

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # inductor


def with_compiled_forward(network):
    network.forward = torch.compile(network.forward, backend="eager")
    return network


FORMS = {
    "not at all": (lambda network: network, False),
    "wrapped": (lambda network: torch.compile(network, backend="eager"), True),
    "in place": (lambda network: network.compile(backend="eager") or network, True),
    "forward function": (with_compiled_forward, True),
    "each block": (lambda network: network.compile_repeated_blocks(backend="eager") or network, "blocks"),
}


@pytest.fixture
def works(monkeypatch):
    """Leave out the trial of the compiler."""
    monkeypatch.setattr(compiling, "_try_compiler", lambda device: None)


@pytest.mark.parametrize(("compiled", "how"), FORMS.values(), ids=FORMS)
def test_every_form_of_compilation_is_told(compiled, how):
    assert how_compiled(compiled(families.wan().transformer)) == how


@pytest.mark.parametrize(("blocks", "how"), [(False, True), (True, "blocks")])
def test_both_networks_of_a_pipeline_are_compiled(works, blocks, how):
    pipe = families.wan_of_two_networks()
    compile_denoisers(pipe, CPU, blocks=blocks)
    assert [how_compiled(network) for network in (pipe.transformer, pipe.transformer_2)] == [how, how]


def test_a_network_without_named_blocks_is_only_compiled_as_a_whole(works):
    pipe = families.cogvideox()
    with pytest.raises(ModelError, match="CogVideoXTransformer3DModel does not name its repeated blocks"):
        compile_denoisers(pipe, CPU, blocks=True)
    compile_denoisers(pipe, CPU, blocks=False)
    assert how_compiled(pipe.transformer) is True


def test_a_machine_without_a_compiler_is_found_out_before_the_first_video(monkeypatch):
    def missing(function):
        def fail(*inputs):
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin many lines")

        return fail

    monkeypatch.setattr(torch, "compile", missing)
    pipe = families.wan()
    with pytest.raises(
        ModelError, match=r"does not work here: InvalidCxxCompiler: No working C\+\+ compiler found. Inst"
    ):
        compile_denoisers(pipe, CPU, blocks=False)
    assert how_compiled(pipe.transformer) is False


@pytest.mark.parametrize(("compiled", "how"), FORMS.values(), ids=FORMS)
def test_the_manifest_names_the_compilation_whoever_made_it(model, sampling, monkeypatch, compiled, how):
    monkeypatch.setattr(model, "denoisers", lambda: {"transformer": compiled(families.wan().transformer)})
    assert describe_call(model, "a kiss", sampling, 1).get("compile", False) == how
