import math

import pytest

from attnwatch.analysis.matrices import matrices
from attnwatch.errors import ConfigError
from tests.unit.attnwatch.analysis.tables import row


def test_the_focus_of_each_word_is_a_matrix_of_layers_and_heads_averaged_over_videos():
    rows = [
        row(seed, "a", word=word, layer=layer, head=head, focus=seed + 10 * layer + head)
        for word in ("kiss", "dog")
        for seed in (1, 2)
        for layer in (0, 1)
        for head in (0, 1, 2)
    ]
    found = matrices(rows, "head")
    assert [one.title for one in found.each] == ["'kiss'", "'dog'"]
    kiss = found.each[0]
    assert (kiss.rows, kiss.columns) == (("0", "1"), ("0", "1", "2"))
    assert kiss.values.tolist() == [[1.5, 2.5, 3.5], [11.5, 12.5, 13.5]]
    assert found.key.endswith("Mean over 2 videos.")


def test_an_axis_of_which_only_the_mean_is_stored_has_one_row():
    found = matrices([row(1, "a", layer=None, head=head, focus=0.1) for head in (0, 1)], "head").each[0]
    assert (found.rows, found.columns) == (("mean",), ("0", "1"))


def test_the_overlap_of_words_is_a_matrix_of_words_and_words():
    rows = [
        row(seed, "a", word=word, **{f"overlap_{other}": value * seed})
        for seed in (1, 3)
        for word, other, value in (("kiss", "dog", 0.1), ("dog", "kiss", 0.1))
    ]
    (found,) = matrices(rows, "video").each
    assert found.rows == found.columns == ("kiss", "dog")
    assert found.values[0, 1] == found.values[1, 0] == pytest.approx(0.2)
    assert math.isnan(found.values[0, 0])


def test_words_of_the_same_text_are_named_by_their_slugs():
    rows = [row(1, "a", word=word, text="kiss", overlap_kiss=0.1, overlap_kiss_2=0.1) for word in ("kiss", "kiss_2")]
    assert matrices(rows, "video").each[0].rows == ("kiss", "kiss_2")


@pytest.mark.parametrize(
    ("level", "said"),
    [("video", "found no two words in a video"), ("frame", "found level frame; expected video")],
)
def test_what_is_no_matrix_is_refused(level, said):
    with pytest.raises(ConfigError, match=said):
        matrices([row(1, "a", mass=1)], level)
