import pytest

import attnwatch
from attnwatch.errors import ConfigError
from tests.support import Batch, blob_maps

pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")
pandas = pytest.importorskip("pandas", reason="pandas is not installed: pip install 'attnwatch[measure]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("compare") / "outputs")
    for prompt, choice in enumerate(("a <b>", "c"), start=1):
        for seed in range(1, 7):
            maps = {"kiss": blob_maps(peak=0.2 * prompt) * (1 + seed / 100)}
            generation = {"seed": seed, "choices": [choice]}
            batch.add(seed, prompt=prompt, tensors=maps, source=False, generation=generation)
    return batch.folder


@pytest.fixture(scope="module")
def compared(folder):
    return attnwatch.open(folder).compare(by=1, word="kiss", measure=["mass", "concentration"])


def test_the_table_is_a_data_frame_with_a_row_for_each_result(compared):
    assert isinstance(compared.table, pandas.DataFrame)
    assert compared.table.measure.tolist() == ["mass", "concentration"]
    assert compared.table.difference[0] == pytest.approx(compared.table.first_mean[0], rel=0.01)


def test_a_notebook_shows_table_sentences_and_notes_with_escaped_names(compared):
    html = compared._repr_html_()
    assert "<td>a &lt;b&gt;</td>" in html
    assert "between &#x27;a &lt;b&gt;&#x27; and &#x27;c&#x27;" in html
    assert "<b>" not in html


def test_the_text_is_a_sentence_for_each_result(compared):
    assert repr(compared).splitlines()[:2] == list(compared.sentences)
    assert compared.notes == ()


def test_the_figure_is_one_of_matplotlib(compared):
    assert compared.figure(dpi=50).axes[0].get_ylabel().startswith("mass")
    assert compared.figure(over="steps").axes[0].get_xlabel() == "denoising step"


def test_one_measure_may_be_named_as_it_is(folder):
    assert attnwatch.open(folder).compare("1", measure="spread").table.measure.tolist() == ["spread"]


def test_a_video_that_cannot_be_measured_is_left_out_with_a_warning(tmp_path, caplog):
    batch = Batch.make(tmp_path)
    for number, choice in enumerate(("a", "b", "b"), start=1):
        batch.add(number, source=False, generation={"seed": number, "choices": [choice]})
    next(batch.prompt().glob("attention_maps/vid002*")).write_bytes(b"broken")
    assert attnwatch.open(batch.folder).compare(1, measure="mass").table.second_n.tolist() == [1]
    assert "prompt_001_vid002: not measured: " in caplog.text


def test_what_cannot_be_compared_is_refused(folder):
    with pytest.raises(ConfigError, match="by: found '2'; expected 1"):
        attnwatch.open(folder).compare(by=2)
