"""LoRAs and textual inversions in tiny pipelines; real LoRAs need peft, which is not among the requirements."""

import diffusers
import pytest
import torch
from diffusers.utils import constants
from safetensors.torch import save_file

from generator.errors import ModelError
from generator.models import load as models
from generator.settings import ModelSettings
from tests import families

NO_PEFT = "peft is not installed: `pip install --no-deps peft`"


@pytest.fixture(scope="session")
def animatediff(tmp_path_factory):
    folder = tmp_path_factory.mktemp("animatediff")
    families.build("animatediff").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def wan(random_weights):
    return str(random_weights)


def vectors(model):
    """Return vectors of a textual inversion that fit the text encoder of a pipeline."""
    width = diffusers.DiffusionPipeline.from_pretrained(model).text_encoder.config.hidden_size
    return torch.randn(3, width, generator=torch.Generator().manual_seed(3))


def load(model, **settings):
    return models.load(ModelSettings(id=model, device="cpu", **settings)).pipe


def test_a_textual_inversion_extends_the_tokenizer_and_the_text_encoder(animatediff, tmp_path):
    learned = vectors(animatediff)
    save_file({"<toy>": learned}, tmp_path / "toy.safetensors")
    for added, token in (("", "<toy>"), (":<dog>", "<dog>")):
        pipe = load(animatediff, embeddings=(f"{tmp_path / 'toy.safetensors'}{added}",))
        ids = pipe.tokenizer.convert_tokens_to_ids([token, f"{token}_1", f"{token}_2"])
        assert torch.equal(pipe.text_encoder.get_input_embeddings().weight[ids], learned)


@pytest.mark.parametrize("content", [{"<toy>": torch.zeros(3, 7)}, {"a": torch.zeros(3), "b": torch.zeros(3)}])
def test_a_textual_inversion_that_does_not_fit_is_refused(animatediff, tmp_path, content):
    save_file(content, tmp_path / "toy.safetensors")
    with pytest.raises(ModelError, match=r"embeddings .*toy.safetensors cannot be loaded into .*Expected weights"):
        load(animatediff, embeddings=(str(tmp_path / "toy.safetensors"),))


def test_a_family_without_textual_inversions_says_so(wan, tmp_path):
    save_file({"<toy>": torch.zeros(3, 48)}, tmp_path / "toy.safetensors")
    with pytest.raises(ModelError, match="embeddings: WanPipeline takes no textual inversions; AnimateDiff does"):
        load(wan, embeddings=(str(tmp_path / "toy.safetensors"),))


def test_a_lora_without_peft_is_refused_with_the_remedy(wan, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "USE_PEFT_BACKEND", False)
    with pytest.raises(ModelError, match=r"lora: needs the module peft .*pip install 'peft>="):
        load(wan, lora=(str(tmp_path / "lora.safetensors"),))


@pytest.mark.parametrize("source", ["missing.safetensors", "models/missing.safetensors", "./missing", "/missing:0.5"])
def test_a_missing_file_is_named_before_the_hub_is_asked(wan, monkeypatch, source):
    monkeypatch.setattr(constants, "USE_PEFT_BACKEND", True)
    with pytest.raises(ModelError, match=r"lora .*missing.*: found no such file or folder. Expected one, or a repo"):
        load(wan, lora=(source,))


def lora_file(model, path, scale=1.0):
    """Write a LoRA of rank 2 for the first block of a tiny Wan network."""
    network = diffusers.DiffusionPipeline.from_pretrained(model).transformer
    width = network.blocks[0].attn2.to_q.in_features
    generator = torch.Generator().manual_seed(5)
    name = "transformer.blocks.0.attn2.to_q"
    down, up = (torch.randn(shape, generator=generator) * scale for shape in ((2, width), (width, 2)))
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, path)
    return up @ down


def query(pipe):
    return pipe.transformer.blocks[0].attn2.to_q


def test_loras_are_added_with_their_weights(wan, tmp_path):
    pytest.importorskip("peft", reason=NO_PEFT)
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    delta = 0.5 * lora_file(wan, first) + lora_file(wan, second, scale=2.0)
    plain, adapted = query(load(wan)), query(load(wan, lora=(f"{first}:0.5", str(second))))
    given = torch.randn(3, plain.in_features, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(adapted(given), plain(given) + given @ delta.T, rtol=1e-4, atol=1e-3)


def test_a_lora_of_another_model_is_refused(wan, tmp_path):
    pytest.importorskip("peft", reason=NO_PEFT)
    save_file({"unet.x.lora_A.weight": torch.zeros(2, 3)}, tmp_path / "other.safetensors")
    save_file(
        {
            "transformer.blocks.0.attn2.to_q.lora_A.weight": torch.zeros(2, 3),
            "transformer.blocks.0.attn2.to_q.lora_B.weight": torch.zeros(3, 2),
        },
        tmp_path / "size.safetensors",
    )
    for name in ("other", "size"):
        with pytest.raises(ModelError, match=rf"lora .*{name}.safetensors.*xpected"):
            load(wan, lora=(str(tmp_path / f"{name}.safetensors"),))
