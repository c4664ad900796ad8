import pytest

from generator.batch.plan import plan_batch
from generator.errors import SettingsError, UsageError
from generator.settings import AttentionSettings, Settings, VideoSettings

TEMPLATE = "a (kiss) between [two men|two women]"


def settings(**video):
    return Settings(template=TEMPLATE, video=VideoSettings(**video))


def test_video_k_of_every_variation_has_the_same_seed():
    plan = plan_batch(settings(seed=7, videos_per_variation=2))
    assert [(video.video_id, video.seed) for video in plan.videos] == [
        ("prompt_001_vid001", 7),
        ("prompt_001_vid002", 8),
        ("prompt_002_vid001", 7),
        ("prompt_002_vid002", 8),
    ]
    assert plan.videos[3].manifest == "videos/prompt_002/video_002.complete.json"


@pytest.mark.parametrize(
    ("order", "made"),
    [
        ({}, ["001_vid001", "002_vid001", "001_vid002", "002_vid002"]),
        ({"order": "seeds"}, ["001_vid001", "002_vid001", "001_vid002", "002_vid002"]),
        ({"order": "prompts"}, ["001_vid001", "001_vid002", "002_vid001", "002_vid002"]),
    ],
)
def test_a_batch_that_stops_early_has_equally_many_videos_of_each_prompt_unless_asked_otherwise(order, made):
    plan = plan_batch(settings(videos_per_variation=2, **order))
    assert [video.video_id.removeprefix("prompt_") for video in plan.queue] == made


def test_max_variations_limits_the_plan_to_the_first_prompts():
    assert len(plan_batch(settings(max_variations=1)).variations) == 1


def test_a_missing_template_is_refused():
    with pytest.raises(UsageError, match="no template: describe the videos with --template"):
        plan_batch(Settings())


def test_too_many_variations_are_refused_at_once_unless_limited():
    template = "[a|b|c|d|e|f|g|h|i|j]" * 12
    with pytest.raises(UsageError, match=r"1,000,000,000,000 variations, more than 10,000.*--max-variations"):
        plan_batch(Settings(template=template))
    assert len(plan_batch(Settings(template=template, video=VideoSettings(max_variations=3))).variations) == 3


def tracking(*words):
    return Settings(template=TEMPLATE, attention_analysis=AttentionSettings(track=words))


def test_words_are_tracked_in_the_prompts_that_have_them():
    first, second = plan_batch(tracking("women", "Two")).variations
    assert [span.text for span in first.spans] == ["kiss", "two"]
    assert [span.text for span in second.spans] == ["kiss", "two", "women"]


def test_a_word_that_no_prompt_has_is_refused():
    with pytest.raises(UsageError, match="track: found 'dog' in none of 2 prompts, such as 'a kiss between two men'"):
        plan_batch(tracking("two", "dog"))
    with pytest.raises(UsageError, match=r"track: found no 'dog' in the prompt 'a kiss'\. Expected a word"):
        plan_batch(Settings(template="a kiss", attention_analysis=AttentionSettings(track=("dog",))))


@pytest.fixture
def written(tmp_path):
    """Write a file of prompts and return the settings that name it, with further ones of videos."""

    def write(text, name="prompts.txt", **video):
        path = tmp_path / name
        path.write_text(text)
        return Settings(prompts=str(path), video=VideoSettings(**video))

    return write


def ids(plan):
    return [(video.video_id, video.seed) for video in plan.videos]


def test_every_line_of_a_file_is_crossed_with_its_alternatives_and_has_its_own_seed_and_name(written):
    text = "prompt,seed,name\na [red|blue] (dog),7,dogs\na (cat),,cat\na (fox),9,\n"
    plan = plan_batch(written(text, "prompts.csv", seed=1, videos_per_variation=2))
    assert [variation.prompt for variation in plan.variations] == ["a red dog", "a blue dog", "a cat", "a fox"]
    assert ids(plan) == [
        *(("dogs_001_vid001", 7), ("dogs_001_vid002", 8), ("dogs_002_vid001", 7), ("dogs_002_vid002", 8)),
        *(("cat_vid001", 1), ("cat_vid002", 2), ("prompt_004_vid001", 9), ("prompt_004_vid002", 10)),
    ]
    assert plan.videos[0].manifest == "videos/dogs_001/video_001.complete.json"


def test_a_template_and_a_file_together_are_refused(written):
    with pytest.raises(SettingsError, match="found both a template and a file of prompts; expected one"):
        plan_batch(written("a (dog)").model_copy(update={"template": TEMPLATE}))


def test_names_that_meet_after_they_were_extended_are_refused(written):
    with pytest.raises(SettingsError, match="found two prompts called 'prompt_002': 'a fox' and 'a dog'"):
        plan_batch(written("prompt,name\na fox,PROMPT_002\na dog,\n", "prompts.csv"))
    with pytest.raises(SettingsError, match="two prompts called 'fox_001'"):
        plan_batch(written("prompt,name\na [red|blue] fox,fox\na dog,fox_001\n", "prompts.csv"))


def test_a_sample_of_a_huge_product_is_drawn_at_once_and_differs_with_its_seed():
    template = "[0|1|2|3|4|5|6|7|8|9]" * 30 + " dog"

    def drawn(size, seed):
        plan = plan_batch(Settings(template=template, video=VideoSettings(sample=size, sample_seed=seed)))
        return [variation.prompt for variation in plan.variations]

    assert drawn(20, 1) == drawn(30, 1)[:20]
    assert drawn(20, 1) != drawn(20, 2)
    assert len(set(drawn(30, 1))) == 30
    assert plan_batch(Settings(template=template, video=VideoSettings(sample=2))).videos[1].video_id == (
        "prompt_002_vid001"
    )


def test_a_sample_that_is_larger_than_the_product_is_all_of_it():
    found = plan_batch(Settings(template="[a|b|c] dog", video=VideoSettings(sample=10))).variations
    assert sorted(variation.prompt for variation in found) == ["a dog", "b dog", "c dog"]


def test_a_sample_and_the_first_prompts_together_are_refused():
    with pytest.raises(SettingsError, match=r"found both sample \(2\) and max_variations \(3\)"):
        plan_batch(settings(sample=2, max_variations=3))


def test_a_file_of_too_many_prompts_is_refused_unless_limited(written):
    text = "".join(f"dog {number}\n" for number in range(10_001))
    with pytest.raises(UsageError, match=r"prompts\.txt has 10,001 prompts, more than 10,000.*--sample N"):
        plan_batch(written(text))
    assert len(plan_batch(written(text, sample=5)).variations) == 5
