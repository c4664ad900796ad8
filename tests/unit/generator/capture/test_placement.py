"""A word is where the text encoder really got it, in every family; where that is not certain, there is no map.

Whatever a pipeline does to a prompt before it encodes it, the maps must be those of the word's own tokens. The ids that
the encoder was given are noted here by a hook of the tests' own.
"""

from contextlib import ExitStack, contextmanager
from inspect import signature

import numpy as np
import pytest
import torch
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE

from generator.capture.maps import Keep
from generator.capture.recorder import capture as recording
from generator.errors import CaptureError, TokenError, UsageError
from generator.library import capture
from generator.models.load import adapt
from generator.prompts.tokens import TrackedWord, positions_of
from tests.integration.library_support import SIZES, build
from tests.integration.library_support import call as generate

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")

PROMPT = "a romantic kiss"
KEPT = {"storage_dtype": "float32", "store_per_block": True, "store_per_head": True}


def call(pipe, family, prompt=PROMPT, **arguments):
    return generate(pipe, family, steps=2, prompt=prompt, **arguments)


@contextmanager
def encoded(pipe):
    """Collect the pieces of every text that the encoder is given."""
    texts = []

    def note(_, args, kwargs):
        rows = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        texts.extend(pipe.tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in rows)

    hook = pipe.text_encoder.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield texts
    finally:
        hook.remove()


def pieces_of(maps, pieces):
    """Return the pieces at the positions of each word."""
    return {word.slug: [pieces[place] for place in word.positions] for word in maps.last.recorder.words}


@pytest.fixture(params=sorted({*SIZES} - {"wan2.2"}))
def name(request):
    return request.param


def changed(pipe, change):
    """Return the pipeline as a user's own class that changes each prompt before it is encoded."""

    class Changing(type(pipe)):
        def encode_prompt(self, prompt, *args, **kwargs):
            return super().encode_prompt(change(prompt), *args, **kwargs)

    pipe.__class__ = Changing
    return pipe


def test_a_word_is_found_in_the_text_that_a_users_pipeline_encodes_instead(name, caplog):
    pipe = changed(build(name), lambda prompt: f"blurry, low quality. {prompt} and a dog")
    with encoded(pipe) as texts, capture(pipe, ["kiss"], self_check=True, **KEPT) as maps:
        call(pipe, name)
    (word,) = maps.last.recorder.words
    cut = len(texts[0]) - adapt(pipe).text_keys
    assert [texts[0][cut + place].strip("▁Ġ") for place in word.positions] == ["kiss"]
    assert "the pipeline encodes another text than the prompt" in caplog.text
    assert "blurry, low quality. a romantic kiss and a dog" in caplog.text
    assert maps.last.recorder.summary()["self_check"]["text"] == {"cond": "embeddings"}


def test_a_changed_prompt_has_the_maps_of_the_same_text_given_as_prompt(name):
    text = f"a dog and {PROMPT} in the rain"
    changing = changed(build(name), lambda prompt: text if prompt else prompt)
    with capture(changing, ["kiss"], **KEPT) as maps:
        call(changing, name)
    pipe = build(name)
    with capture(pipe, ["kiss", "rain"], **KEPT) as right:
        call(pipe, name, text)
    assert np.abs(maps["kiss"] - right["kiss"]).max() < 1e-6
    assert np.abs(maps["kiss"] - right["rain"]).max() > 1e-5


@pytest.mark.parametrize(
    "change",
    [lambda prompt: prompt.replace("kiss", "dog"), lambda prompt: f"a kiss, {prompt} and a kiss".replace("roman", "")],
    ids=["without the word", "with more of them"],
)
def test_a_word_that_is_not_certain_to_be_in_the_encoded_text_is_refused_before_the_first_step(name, change):
    pipe = changed(build(name), change)
    steps = []
    refused = pytest.raises(
        CaptureError, match="tracked word 'kiss': the pipeline encodes another text than the prompt"
    )
    with refused, capture(pipe, ["kiss"]):
        call(pipe, name, callback_on_step_end=lambda pipe, step, time, kept: steps.append(step) or {})
    assert steps == []


@pytest.mark.parametrize("token", ["<toy>", "dog", "kiss"])
def test_a_textual_inversion_of_several_vectors_moves_the_words_after_it(token, caplog):
    pipe = build("animatediff")
    pipe.load_textual_inversion({"<toy>": torch.randn(3, 32)}, token="<toy>")
    with encoded(pipe) as texts, capture(pipe, [token], **KEPT) as maps:
        call(pipe, "animatediff", "a <toy> dog kiss")
    found = [piece.strip("Ġ") for pieces in pieces_of(maps, texts[0]).values() for piece in pieces]
    assert [piece for piece in found if piece] == (["<toy>", "<toy>_1", "<toy>_2"] if token == "<toy>" else [token])
    assert "another text" not in caplog.text  # it is expected


IN_TEMPLATE = "<|start_header_id|>user<|end_header_id|>\n\nShow this: {}<|eot_id|>"
TEMPLATES = {
    "not cropped": lambda tokenizer: {"template": IN_TEMPLATE, "crop_start": 0},
    "cropped": lambda tokenizer: {
        "template": IN_TEMPLATE,
        "crop_start": len(tokenizer(IN_TEMPLATE.split("{}", maxsplit=1)[0])["input_ids"]),
    },
    "with an introduction": lambda tokenizer: {
        "template": DEFAULT_PROMPT_TEMPLATE["template"].replace("{}", "a kiss in an old film: {}"),
        "crop_start": DEFAULT_PROMPT_TEMPLATE["crop_start"],
    },
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_hunyuan_video_finds_a_word_in_the_template_of_the_call(template):
    pipe = build("hunyuan")
    template = template(pipe.tokenizer)
    with encoded(pipe) as texts, capture(pipe, ["kiss"], **KEPT) as maps:
        call(pipe, "hunyuan", prompt_template=template)
    pieces = texts[0][template["crop_start"] :]
    last = max(place for place, piece in enumerate(pieces) if piece == "Ġkiss")
    assert [word.positions for word in maps.last.recorder.words] == [(last,)]


def test_a_word_that_the_template_crops_is_refused():
    pipe = build("hunyuan")
    template = {"template": "Show this kiss: {}<|eot_id|>", "crop_start": 16}
    with pytest.raises(CaptureError, match="tracked word 'kiss'"), capture(pipe, ["kiss"]):
        call(pipe, "hunyuan", prompt="kiss", prompt_template=template)


def test_the_video_stays_the_same_when_a_word_is_elsewhere(name):
    without = call(changed(build(name), lambda prompt: f"{prompt} in the rain"), name)
    pipe = changed(build(name), lambda prompt: f"{prompt} in the rain")
    with capture(pipe, ["kiss"]):
        during = call(pipe, name)
    assert np.array_equal(without, during)
    assert not pipe.text_encoder._forward_hooks


def test_embeddings_that_are_encoded_inside_the_block_are_as_good_as_a_prompt(name):
    pipe = build(name)
    lengths = {"cogvideox": {"max_sequence_length": 32}, "wan": {"max_sequence_length": 512}}
    asked = {"device": "cpu", **lengths.get(name, {})}
    if name == "animatediff":
        asked |= {"num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    names = ["prompt_embeds", "negative_prompt_embeds"]
    if name == "hunyuan":
        names = ["prompt_embeds", "pooled_prompt_embeds", "prompt_attention_mask"]
    elif name in ("ltx", "mochi"):
        names = ["prompt_embeds", "prompt_attention_mask"]
        names += [f"negative_{each}" for each in names]
    with capture(pipe, ["kiss"], **KEPT) as maps:
        made = dict(zip(names, pipe.encode_prompt(PROMPT, **asked), strict=True))
        pipe.encode_prompt("a dog", **asked)
        made = {key: value for key, value in made.items() if value is not None}
        call(pipe, name, None, **made)
    with capture(pipe, ["kiss"], **KEPT) as right:
        call(pipe, name)
    assert np.abs(maps["kiss"] - right["kiss"]).max() < 1e-6


def test_embeddings_from_elsewhere_are_refused_unless_the_positions_are_given():
    pipe = build("wan")
    embeddings, negative = pipe.encode_prompt(PROMPT, "", max_sequence_length=512)
    given = {"prompt_embeds": embeddings, "negative_prompt_embeds": negative}
    refused = pytest.raises(UsageError, match="prompt_embeds: found embeddings that were not made inside the `with`")
    with refused, capture(pipe, ["kiss"]):
        call(pipe, "wan", None, **given)
    with capture(pipe, ["kiss"], **KEPT) as right:
        call(pipe, "wan")
    (word,) = right.last.recorder.words
    with capture(pipe, {"kiss": word.positions}, self_check=True, **KEPT) as maps:
        call(pipe, "wan", None, **given)
    assert np.abs(maps["kiss"] - right["kiss"]).max() < 1e-6
    assert maps.last.recorder.summary()["self_check"]["text"] == {"cond": "caller"}


def test_embeddings_may_be_shorter_than_those_of_a_prompt(caplog):
    """Those that `encode_prompt` of Wan makes by default are: attention to them is another, but at the same places."""
    pipe = build("wan")
    with capture(pipe, ["kiss"], store_reserved=True, self_check=True, **KEPT) as maps:
        embeddings, negative = pipe.encode_prompt(PROMPT, "")
        call(pipe, "wan", None, prompt_embeds=embeddings, negative_prompt_embeds=negative)
    assert len(embeddings[0]) == 226
    assert maps.last.recorder.summary()["self_check"]["max_abs_error"] < 1e-6
    assert ((maps["kiss"] + maps["__padding__"] + maps["__eos__"]) < 1).all()
    assert "another text" not in caplog.text


@pytest.mark.parametrize("family", ["wan", "cogvideox"])
def test_a_position_beyond_shorter_embeddings_is_refused(family):
    """In joint attention, the tokens of the video follow there."""
    pipe = build(family)
    embeddings, negative = pipe.encode_prompt(PROMPT, "", max_sequence_length=8)
    refused = pytest.raises(CaptureError, match="found position 12 for 'kiss'; expected positions from 0 to 7")
    with refused, capture(pipe, {"kiss": [2, 12]}):
        call(pipe, family, None, prompt_embeds=embeddings, negative_prompt_embeds=negative)
    with capture(pipe, {"kiss": [2, 7]}):
        call(pipe, family, None, prompt_embeds=embeddings, negative_prompt_embeds=negative)


@pytest.mark.parametrize("cut", [0, 8])
def test_words_that_stand_behind_tokens_of_the_users_are_refused(cut, monkeypatch):
    """As behind learned tokens: what the encoder was given does not tell where the network receives it."""
    pipe = build("wan")
    encode = pipe.encode_prompt

    def behind(*args, **kwargs):
        learned = torch.randn(1, 8, pipe.text_encoder.config.d_model)
        return tuple(torch.cat([learned, each[:, : each.shape[1] - cut]], 1) for each in encode(*args, **kwargs))

    monkeypatch.setattr(pipe, "encode_prompt", behind)
    refused = pytest.raises(CaptureError, match="received a text for the prompt that its pipeline's text encoder was")
    with refused, capture(pipe, ["kiss"], store_reserved=True, branch="both"):
        call(pipe, "wan", negative_prompt="a dog")


@pytest.mark.parametrize("negative", ["a", "a romantic kiss"])
def test_the_beginning_of_a_prompt_is_not_taken_for_the_prompt(negative):
    """A causal encoder makes the same of both if its template ends with the prompt."""
    pipe, prompt = build("hunyuan"), "a romantic kiss in the rain"
    template = {"template": "<|start_header_id|>user<|end_header_id|>{}", "crop_start": 3}
    with encoded(pipe) as texts, capture(pipe, ["kiss"], store_reserved=True, **KEPT) as maps:
        guided = {"negative_prompt": negative, "true_cfg_scale": 4.0}
        call(pipe, "hunyuan", prompt, prompt_template=template, **guided)
    (places,) = pieces_of(maps, texts[0][template["crop_start"] :]).values()
    assert places == ["Ġkiss"]
    with capture(pipe, ["kiss"], store_reserved=True, **KEPT) as right:
        call(pipe, "hunyuan", prompt, prompt_template=template)
    assert np.abs(maps["__padding__"][0] - right["__padding__"][0]).max() < 1e-6


def test_embeddings_that_were_changed_are_refused():
    pipe = build("wan")
    refused = pytest.raises(UsageError, match="prompt_embeds: found embeddings that were not made inside")
    with refused, capture(pipe, ["kiss"]):
        embeddings, negative = pipe.encode_prompt(PROMPT, "")
        call(pipe, "wan", None, prompt_embeds=embeddings * 1.5, negative_prompt_embeds=negative)


def test_embeddings_that_replace_the_prompts_during_generation_are_refused():
    pipe = build("wan")

    def exchange(pipe, step, time, kept):
        return {"prompt_embeds": pipe.encode_prompt("a dog that sees a kiss", "")[0]}

    with pytest.raises(CaptureError, match="text that the denoising network receives changed"), capture(pipe, ["kiss"]):
        call(pipe, "wan", callback_on_step_end=exchange, callback_on_step_end_tensor_inputs=["prompt_embeds"])


def test_a_text_encoder_that_was_not_heard_proves_nothing():
    """As a new family's would be that names the wrong text encoder."""
    model = adapt(build("wan"))
    other = adapt(build("cogvideox")).text_encoder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "text_encoder", property(lambda self: other))
        word = TrackedWord("kiss", "kiss", (11, 15), (2,), (model.tokenise(PROMPT).ids[2],))
        sampling = model.recommended.__class__(64, 48, 5, 8.0, 2, 4.0)
        unknown = pytest.raises(CaptureError, match="its pipeline's text encoder was not heard to encode")
        with unknown, recording(model, [word], model.grid(sampling), Keep(), prompts={"cond": PROMPT}):
            model.generate(PROMPT, sampling, 1, lambda done, total: None)


def test_a_compiled_text_encoder_is_heard():
    pipe = build("wan")
    pipe.text_encoder.compile(backend="eager")
    with capture(pipe, ["kiss"], **KEPT) as maps:
        call(pipe, "wan")
    assert maps.last.recorder.summary()["text"] == {"cond": "embeddings"}
    call(pipe, "wan", "a dog")


def test_a_compiled_text_encoder_of_two_pipelines_is_as_before_when_captures_overlap():
    one, other = build("wan"), build("wan")
    other.text_encoder = one.text_encoder
    one.text_encoder.compile(backend="eager")
    before = vars(one.text_encoder)["_compiled_call_impl"]
    first, second = capture(one, ["kiss"]), capture(other, ["kiss"])
    with ExitStack() as still_open:
        with first as maps:
            call(one, "wan")
            others = still_open.enter_context(second)
            call(other, "wan")
        call(other, "wan")
    assert vars(one.text_encoder)["_compiled_call_impl"] is before
    for each in (maps, others):
        assert each.last.recorder.summary()["text"] == {"cond": "embeddings"}


def test_other_hidden_states_count_by_the_ids_that_the_encoder_was_given(monkeypatch):
    """As with `clip_skip`, whose states pass another layer outside of the text encoder."""
    pipe = build("wan")
    encode = pipe.encode_prompt
    doubled = lambda *args, **kwargs: tuple(2 * each for each in encode(*args, **kwargs))  # noqa: E731
    monkeypatch.setattr(pipe, "encode_prompt", doubled)
    with capture(pipe, ["kiss"], self_check=True) as maps:
        call(pipe, "wan")
    assert maps.last.recorder.summary()["self_check"]["text"] == {"cond": "ids"}


def test_a_word_of_the_negative_prompt_has_the_maps_that_it_has_in_a_prompt(name):
    """In the first step, both branches start from the same noise."""
    guided = {"true_cfg_scale": 4.0} if name == "hunyuan" else {}
    pipe = build(name)
    with capture(pipe, ["kiss"], track_negative=["dog"], **KEPT) as maps:
        call(pipe, name, negative_prompt="a blurry dog", **guided)
    with capture(pipe, ["dog"], **KEPT) as right:
        call(pipe, name, "a blurry dog")
    assert maps.names == ("kiss", "uncond/dog")
    assert np.abs(maps["uncond/dog"][0] - right["dog"][0]).max() < 1e-6
    assert np.abs(maps["kiss"][0] - right["dog"][0]).max() > 1e-6


def test_a_word_of_a_negative_prompt_that_a_users_pipeline_changes_is_found(name):
    """Also where the negative prompt is computed after the prompt, whose positions are in use by then."""
    pipe = build(name)

    class Changing(type(pipe)):
        def encode_prompt(self, *args, **kwargs):
            given = signature(super().encode_prompt).bind(*args, **kwargs)
            prompts = "prompt" if name == "hunyuan" else "negative_prompt"
            if (found := given.arguments.get(prompts)) and "dog" in str(found):
                given.arguments[prompts] = f"rain and {found}"
            return super().encode_prompt(*given.args, **given.kwargs)

    pipe.__class__ = Changing
    guided = {"true_cfg_scale": 4.0} if name == "hunyuan" else {}
    with capture(pipe, ["kiss"], track_negative=["dog"], branch="both") as maps:
        call(pipe, name, negative_prompt="a dog", **guided)
    assert maps.incomplete is None
    expected = adapt(pipe).tokenise("rain and a dog")
    word = next(word for word in maps.last.recorder.words if word.negative)
    assert word.positions == positions_of(expected, 11, 14)


def test_a_word_that_a_longer_text_cuts_off_is_refused(name):
    pipe = changed(build(name), lambda prompt: "dog " * 600 + prompt)
    with pytest.raises(CaptureError, match="which of its tokens are this word is not certain"), capture(pipe, ["kiss"]):
        call(pipe, name)


def test_words_of_the_negative_prompt_need_no_word_of_the_prompt():
    pipe = build("wan")
    with capture(pipe, track_negative=["dog"]) as maps:
        call(pipe, "wan", negative_prompt="a dog")
    assert maps.names == ("uncond/dog",)


@pytest.mark.parametrize(
    ("negative", "complaint"),
    [
        ("", "track_negative: found no 'dog' in the negative prompt ''"),
        ("dog " * 600, "in the negative prompt .*cut off"),
    ],
)
def test_a_word_that_is_not_in_the_negative_prompt_is_refused(negative, complaint):
    pipe = build("wan")
    with pytest.raises(TokenError, match=complaint), capture(pipe, ["kiss"], track_negative=["dog"]):
        call(pipe, "wan", negative_prompt=negative)


def test_words_of_the_negative_prompt_need_guidance():
    pipe = build("wan")
    with pytest.raises(UsageError, match="track_negative"), capture(pipe, ["kiss"], track_negative=["dog"]):
        call(pipe, "wan", negative_prompt="a dog", guidance_scale=1.0)
