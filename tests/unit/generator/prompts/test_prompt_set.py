from generator.prompts.prompt_set import Line, PromptSet
from generator.prompts.template import Origin, Template


def prompts(variations):
    return [(variation.number, variation.prompt_id, variation.prompt) for variation in variations]


def test_prompts_of_all_lines_are_counted_on_and_know_their_templates():
    found = PromptSet([Line(Template("[a|b] dog"), name="dog"), Line(Template("a cat"), "dark", 7)])
    assert found.count == 3
    assert prompts(found.first()) == [(1, "dog_001", "a dog"), (2, "dog_002", "b dog"), (3, "prompt_003", "a cat")]
    assert prompts(found.first(2)) == prompts(found.first())[:2]
    *_, last = found.first()
    assert (last.origin, last.negative, last.seed) == (Origin("a cat", 1), "dark", 7)


def test_a_sample_takes_every_prompt_at_most_once_from_all_lines():
    found = PromptSet([Line(Template("[a|b|c|d]")), Line(Template("e")), Line(Template("[f|g|h]"))])
    drawn = prompts(found.sample(8, seed=3))
    assert [number for number, _, _ in drawn] == list(range(1, 9))
    assert sorted(prompt for _, _, prompt in drawn) == list("abcdefgh")
    assert prompts(found.sample(3, seed=3)) == drawn[:3]


def test_samples_are_drawn_evenly():
    found = PromptSet([Line(Template("[a|b|c|d]"))])
    first = [next(found.sample(1, seed)).prompt for seed in range(400)]
    assert all(70 < first.count(prompt) < 130 for prompt in "abcd")
