"""Networks that diffusers splits over several processes are refused before anything is generated."""

import pytest
from diffusers import ContextParallelConfig
from diffusers.models._modeling_parallel import ParallelConfig, TensorParallelConfig

from generator.batch.plan import plan_batch
from generator.batch.prepare import prepare
from generator.capture.recorder import capture as recording
from generator.errors import ModelError
from generator.library import capture
from generator.models.parallel import refuse_split_networks
from generator.settings import AttentionSettings, Settings, VideoSettings

RING = ParallelConfig(context_parallel_config=ContextParallelConfig(ring_degree=2))
TENSOR = ParallelConfig(tensor_parallel_config=TensorParallelConfig(tp_degree=2))


@pytest.fixture
def split(model, monkeypatch):
    """Split the model's network, as `enable_parallelism` notes it."""

    def enable(config):
        monkeypatch.setattr(model.pipe.transformer, "_parallel_config", config)

    return enable


def test_a_network_in_one_process_is_accepted(model):
    refuse_split_networks(model)


@pytest.mark.parametrize(("config", "kind"), [(RING, "context"), (TENSOR, "tensor")])
def test_the_message_names_the_network_the_kind_and_the_way_out(model, split, config, kind):
    split(config)
    with pytest.raises(ModelError) as refused:
        refuse_split_networks(model)
    assert str(refused.value) == (
        f"transformer: found {kind} parallelism (`enable_parallelism`), where each process computes only a part of the "
        "attention; expected a network that runs in one process. Capture without `enable_parallelism` (several "
        "processes can each generate whole videos), or generate without capture"
    )


def test_capture_in_a_script_is_refused_at_its_start(model, split):
    split(RING)
    with pytest.raises(ModelError, match="found context parallelism"), capture(model.pipe, ["kiss"]):
        pytest.fail("the block was entered")


def test_a_call_is_refused_if_the_network_was_split_inside_the_block(model, split, monkeypatch):
    monkeypatch.setattr(model.pipe.transformer, "forward", lambda *_, **__: pytest.fail("the network was called"))

    def split_and_call():
        split(RING)
        model.pipe("a kiss", width=64, height=48, num_frames=5, num_inference_steps=2)

    with pytest.raises(ModelError, match="found context parallelism"), capture(model.pipe, ["kiss"]):
        split_and_call()


def test_the_recorder_refuses_too(model, sampling, words, split):
    split(RING)
    with (
        pytest.raises(ModelError, match="found context parallelism"),
        recording(model, words("a (kiss)"), model.grid(sampling)),
    ):
        pytest.fail("the block was entered")


def test_a_batch_is_refused_while_it_is_prepared_unless_it_keeps_no_attention(model, split, tmp_path):
    split(RING)
    small = VideoSettings(width=64, height=48, frames=5, steps=2)
    settings = Settings(template="a (kiss)", video=small, output=str(tmp_path))
    with pytest.raises(ModelError, match="found context parallelism"):
        prepare(plan_batch(settings), model)
    nothing = AttentionSettings(store_attention=False, store_aggregated_attention=False)
    prepare(plan_batch(settings.model_copy(update={"attention_analysis": nothing})), model)
