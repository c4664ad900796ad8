"""Every pipeline that needs an image, loaded and called as the command line does."""

from dataclasses import replace

import pytest
import torch

from generator.errors import ModelError
from generator.models import load as models
from generator.models.inputs import Given, Images, Use
from generator.models.registry import FAMILIES
from generator.settings import ModelSettings
from tests.families.cases import CASES
from tests.families.media import picture

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NEEDS_ANOTHER_PACKAGE = {"CosmosVideoToWorldPipeline", "Cosmos2VideoToWorldPipeline"}
FROM_IMAGE = {
    name: case
    for name, case in CASES.items()
    if FAMILIES[name.partition(" ")[0]].inputs.image is Use.REQUIRED and name not in NEEDS_ANOTHER_PACKAGE
}


def loaded(name, place, dtype="float32"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe = FROM_IMAGE[name].build()
    pipe.save_pretrained(place)
    takes = FAMILIES[name.partition(" ")[0]].takes(
        pipe.config, lambda component: getattr(getattr(pipe, component), "config", {})
    )
    given = Given(image=True, last_image=takes.last_image is Use.REQUIRED)
    return models.load(ModelSettings(id=str(place), device="cpu", dtype=dtype), given), given


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_IMAGE)
def test_it_makes_a_video_from_an_image_in_half_precision(name, tmp_path):
    arguments = FROM_IMAGE[name].arguments()
    model, given = loaded(name, tmp_path, "bfloat16")
    sampling = model.sampling_of({"guidance_scale": 3.0, **arguments})
    sampling = replace(sampling, steps=1, negative_prompt="blurry")
    model.check(sampling)
    first = picture(sampling.width, sampling.height)
    images = Images(first, first if given.last_image else None)
    frames = model.generate("a kiss", sampling, 1, lambda done, total: None, images)
    assert frames.shape[1:] == (sampling.height, sampling.width, 3)


def test_hunyuan_video_1_5_has_the_size_that_it_takes_for_the_image_of_a_video(tmp_path):
    model, _ = loaded("HunyuanVideo15ImageToVideoPipeline", tmp_path)
    model.pipe.target_size = 640
    own = model.pipe.video_processor.calculate_default_height_width
    for ratio in (0.4, 0.5626, 1.0, 16 / 9, 2.7):
        width, height = model.size_for(ratio, None, None, None)
        assert own(height, width, 640) == (height, width)
        assert width / height == pytest.approx(ratio, rel=0.15)
        model.check(replace(model.recommended, width=width, height=height))
    with pytest.raises(ModelError, match=r"width 640, height 320: the pipeline of .* makes .* whatever is asked for"):
        model.check(replace(model.recommended, width=640, height=320))
