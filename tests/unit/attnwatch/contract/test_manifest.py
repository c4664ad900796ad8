import hashlib
import os
import socket
import stat
import unicodedata

import pytest

from attnwatch.contract.manifest import read_manifest, verify
from attnwatch.errors import ManifestError, NotReadyError
from tests.support import file_record, write_manifest


@pytest.fixture
def folder(tmp_path):
    """A folder with a video and a tensor file, whose contents do not matter here."""
    folder = tmp_path / "prompt_001"
    folder.mkdir()
    (folder / "v.mp4").write_bytes(b"a video")
    (folder / "maps.safetensors").write_bytes(b"some tensors")
    return folder


def written(folder, **fields):
    return write_manifest(folder / "v.complete.json", **fields)


def refused(path):
    """Return the problems of a manifest, after checking that each is complete."""
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    problems = caught.value.problems
    assert problems
    for problem in problems:
        assert problem.file == path
        assert all((problem.field, problem.found, problem.expected, problem.remedy))
        assert str(problem) in str(caught.value)
        assert str(path) in str(problem)
    return problems


def refused_once(path):
    (problem,) = refused(path)
    return problem


def test_three_fields_suffice(folder):
    manifest = read_manifest(written(folder))
    assert manifest.video == folder / "v.mp4"
    assert manifest.attention == (folder / "maps.safetensors",)
    assert manifest.video_id == "prompt_001_v"
    assert manifest.output_directory == folder / "attention_videos"
    assert manifest.inputs() == {"v.mp4": 7, "maps.safetensors": 12}


def test_the_files_need_not_exist(tmp_path):
    manifest = read_manifest(written(tmp_path))
    assert manifest.inputs() == {"v.mp4": None, "maps.safetensors": None}


def test_the_list_of_tensor_files_may_be_empty(folder):
    assert read_manifest(written(folder, attention=[])).attention == ()


def test_tensor_files_keep_their_order(folder):
    names = ["maps/step_001.safetensors", "maps/step_000.safetensors"]
    assert read_manifest(written(folder, attention=names)).attention == tuple(folder / name for name in names)


def test_a_path_may_go_through_folders_and_links_that_stay_inside(folder):
    (folder / "store").mkdir()
    (folder / "store" / "m.safetensors").write_bytes(b"m")
    (folder / "maps").symlink_to("store")
    manifest = read_manifest(written(folder, attention=["maps/m.safetensors"]))
    assert manifest.inputs()["maps/m.safetensors"] == 1


def test_names_that_start_with_dots_are_accepted(folder):
    assert read_manifest(written(folder, video="..v.mp4")).video == folder / "..v.mp4"


def test_files_are_verified_whose_names_on_disk_have_another_spelling(folder):
    (folder / "v.mp4").rename(folder / unicodedata.normalize("NFD", "é.mp4"))
    (folder / "maps").mkdir()
    (folder / "maps.safetensors").rename(folder / "maps/a.safetensors")
    names = unicodedata.normalize("NFC", "é.mp4"), "maps\\a.safetensors"
    files = {names[0]: file_record(folder / unicodedata.normalize("NFD", "é.mp4"))}
    manifest = read_manifest(written(folder, video=names[0], attention=[names[1]], files=files))
    assert len(verify(manifest, video_may_be_absent=False)) == 2


@pytest.mark.parametrize("version", ["attnwatch/1.0", "attnwatch/1.1", "attnwatch/1.99"])
def test_minor_versions_are_accepted(folder, version):
    assert read_manifest(written(folder, format=version)).document.format == version


@pytest.mark.parametrize(
    "version", ["attnwatch/2", "attnwatch/10", "attnwatch/1.", "attnwatch/1.x", "attnwatch/1\n", "ATTNWATCH/1", "1", 1]
)
def test_another_major_version_is_refused(folder, version):
    problem = refused_once(written(folder, format=version))
    assert problem.field == "format"
    assert repr(version) in problem.found
    assert "'attnwatch/1'" in problem.expected


def test_unknown_fields_are_ignored_at_every_level(folder):
    path = written(
        folder,
        mood="happy",
        tokens=[{"slug": "kiss", "text": "kiss", "weight": 2}],
        grid={"frames": 1, "height": 2, "width": 3, "depth": 4},
        denoising=[{"index": 0, "noise": []}],
        files={"v.mp4": {"bytes": 7, "sha256": "0" * 64, "owner": "me"}},
    )
    assert read_manifest(path).document.grid.width == 3


def test_unknown_fields_of_the_generation_are_kept(folder):
    document = read_manifest(written(folder, generation={"lora": "watercolour"})).document
    assert document.generation.model_extra == {"lora": "watercolour"}


def test_an_image_is_described_or_whatever_other_writers_mean_by_it_is_ignored(folder):
    image = {"path": "/photos/beach.png", "sha256": "0" * 64, "width": 4, "height": 3}
    made = read_manifest(written(folder, generation={"image": image, "last_image": "beach.png"})).document.generation
    assert (made.image.name, made.image.width, made.last_image) == ("beach.png", 4, None)


@pytest.mark.parametrize("field", ["format", "video", "attention"])
def test_a_missing_required_field_is_named(folder, field):
    problem = refused_once(written(folder, **{field: None}))
    assert problem.field == field
    assert problem.found == "nothing"
    assert problem.expected


GRID = {"frames": 3, "height": 6, "width": 8}
TOKEN = {"slug": "kiss", "text": "kiss"}
MALFORMED = [
    ("video", 5, "video"),
    ("video", "", "video"),
    ("attention", "maps.safetensors", "attention"),
    ("attention", {}, "attention"),
    ("attention", ["a", 5], "attention[1]"),
    ("attention", [""], "attention[0]"),
    ("video_id", 5, "video_id"),
    ("video_id", "", "video_id"),
    ("video_id", "a/b", "video_id"),
    ("video_id", "a\0b", "video_id"),
    ("video_id", "a\nb", "video_id"),
    ("video_id", ".a", "video_id"),
    ("video_id", "..", "video_id"),
    ("video_id", "a" * 121, "video_id"),
    ("video_id", "é" * 61, "video_id"),
    ("files", [], "files"),
    ("files", {"v.mp4": {}}, "files.v.mp4.bytes"),
    ("files", {"v.mp4": {"bytes": 7}}, "files.v.mp4.sha256"),
    ("files", {"v.mp4": {"bytes": -1, "sha256": "0" * 64}}, "files.v.mp4.bytes"),
    ("files", {"v.mp4": {"bytes": "7", "sha256": "0" * 64}}, "files.v.mp4.bytes"),
    ("files", {"v.mp4": {"bytes": 7, "sha256": "0" * 63}}, "files.v.mp4.sha256"),
    ("files", {"v.mp4": {"bytes": 7, "sha256": "G" * 64}}, "files.v.mp4.sha256"),
    ("files", {"v.mp4": {"bytes": 7, "sha256": "A" * 64}}, "files.v.mp4.sha256"),
    ("tokens", {}, "tokens"),
    ("tokens", ["kiss"], "tokens[0]"),
    ("tokens", [{"slug": "kiss"}], "tokens[0].text"),
    ("tokens", [{"text": "kiss"}], "tokens[0].slug"),
    ("tokens", [{**TOKEN, "slug": ""}], "tokens[0].slug"),
    ("tokens", [{**TOKEN, "slug": "a" * 81}], "tokens[0].slug"),
    ("tokens", [{**TOKEN, "slug": "é" * 41}], "tokens[0].slug"),
    ("tokens", [{**TOKEN, "text": 5}], "tokens[0].text"),
    ("tokens", [{**TOKEN, "span": [0]}], "tokens[0].span[1]"),
    ("tokens", [{**TOKEN, "span": [0, 4, 8]}], "tokens[0].span"),
    ("tokens", [{**TOKEN, "span": [4, 4]}], "tokens[0].span"),
    ("tokens", [{**TOKEN, "span": [4, 2]}], "tokens[0].span"),
    ("tokens", [{**TOKEN, "span": [-1, 2]}], "tokens[0].span[0]"),
    ("tokens", [{**TOKEN, "span": "0-4"}], "tokens[0].span"),
    ("tokens", [{**TOKEN, "positions": [1.5]}], "tokens[0].positions[0]"),
    ("tokens", [{**TOKEN, "ids": ["7"]}], "tokens[0].ids[0]"),
    ("tokens", [{**TOKEN, "slot": 0}], "tokens[0].slot"),
    ("tokens", [TOKEN, {**TOKEN, "slug": "KISS"}], "tokens[1].slug"),
    ("negative_tokens", [{"slug": "kiss"}], "negative_tokens[0].text"),
    ("negative_tokens", [TOKEN, TOKEN], "negative_tokens[1].slug"),
    ("negative_tokens", [{**TOKEN, "span": [2, 2]}], "negative_tokens[0].span"),
    ("grid", [], "grid"),
    ("grid", {"frames": 3, "height": 6}, "grid.width"),
    ("grid", {**GRID, "frames": 0}, "grid.frames"),
    ("grid", {**GRID, "height": 6.5}, "grid.height"),
    ("grid", {**GRID, "width": True}, "grid.width"),
    ("grid", {**GRID, "temporal_stride": 0}, "grid.temporal_stride"),
    ("grid", {**GRID, "causal_first_frame": 1}, "grid.causal_first_frame"),
    ("denoising", {}, "denoising"),
    ("denoising", [{}], "denoising[0].index"),
    ("denoising", [{"index": -1}], "denoising[0].index"),
    ("denoising", [{"index": 0, "timestep": "late"}], "denoising[0].timestep"),
    ("denoising", [{"index": 0, "sigma": []}], "denoising[0].sigma"),
    ("denoising", [{"index": 0, "model": 2}], "denoising[0].model"),
    ("denoising", [{"index": 0, "branch": True}], "denoising[0].branch"),
    ("generation", [], "generation"),
    ("generation", {"prompt": 5}, "generation.prompt"),
    ("generation", {"variation": 0}, "generation.variation"),
    ("generation", {"choices": "two men"}, "generation.choices"),
    ("generation", {"seed": 1.5}, "generation.seed"),
    ("generation", {"width": 0}, "generation.width"),
    ("generation", {"height": "48"}, "generation.height"),
    ("generation", {"frames": -1}, "generation.frames"),
    ("generation", {"fps": 0}, "generation.fps"),
    ("generation", {"fps": 1e9}, "generation.fps"),
    ("generation", {"steps": 0}, "generation.steps"),
    ("generation", {"versions": {"torch": 2}}, "generation.versions.torch"),
    ("generation", {"capture": []}, "generation.capture"),
    ("visualization", [], "visualization"),
]


@pytest.mark.parametrize(("field", "value", "place"), MALFORMED)
def test_a_malformed_field_is_named(folder, field, value, place):
    problems = refused(written(folder, **{field: value}))
    assert place in [problem.field for problem in problems]


def test_all_malformed_fields_are_reported_together(folder):
    problems = refused(written(folder, format="attnwatch/3", video=5, grid=GRID | {"frames": 0}))
    assert [problem.field for problem in problems] == ["format", "video", "grid.frames"]


@pytest.mark.parametrize("field", ["video", "attention[0]"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("../v.mp4", "'..'"),
        ("a/../v.mp4", "'..'"),
        ("a/..", "'..'"),
        ("..", "'..'"),
        ("a\n/../v.mp4", "'..'"),
        ("v\0.mp4", "NUL"),
        (".", "regular file"),
        ("folder", "regular file"),
        ("fifo", "regular file"),
        ("socket", "regular file"),
        ("outside", "link"),
        ("dangling", "link"),
        ("way_out/secret", "link"),
        ("loop", "symbolic links"),
        ("x" * 300, "name too long"),
        ("v.mp4/inside", "Not a directory"),
        ("attention_videos/v_kiss_overlay.mp4", "is an output"),
        ("made/v_kiss_overlay.mp4", "is an output"),
        ("a/" * 100 + "v.mp4", "goes through more than 64 folders"),
    ],
)
def test_an_unsafe_path_is_refused(folder, field, name, reason, monkeypatch):
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    monkeypatch.chdir(folder)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        (folder.parent / "secret").write_text("secret")
        (folder / "outside").symlink_to("../secret")
        (folder / "dangling").symlink_to("../nothing")
        (folder / "way_out").symlink_to("..")
        (folder / "loop").symlink_to("loop")
        (folder / "attention_videos").mkdir()
        (folder / "made").symlink_to("attention_videos")
        (folder / "attention_videos" / "v_kiss_overlay.mp4").touch()
        fields = {"video": name} if field == "video" else {"attention": [name]}
        problem = refused_once(written(folder, **fields))
    assert problem.field == field
    assert reason.lower() in str(problem).lower()
    assert "inside the manifest's directory" in problem.expected


def test_a_device_is_refused(folder):
    try:
        os.mknod(folder / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    assert "regular file" in refused_once(written(folder, video="null")).found


def test_all_refused_paths_are_reported_together(folder):
    problems = refused(written(folder, video="/v.mp4", attention=["ok.safetensors", "../x"]))
    assert [problem.field for problem in problems] == ["video", "attention[1]"]
    problems = refused(written(folder, video=".", attention=["ok.safetensors", "."]))
    assert [problem.field for problem in problems] == ["video", "attention[1]"]


def check(folder, *, video_may_be_absent=False, **records):
    files = {name.replace("_", "."): record for name, record in records.items()}
    verify(read_manifest(written(folder, files=files)), video_may_be_absent=video_may_be_absent)


def test_files_that_match_their_records_pass(folder):
    check(folder, v_mp4=file_record(folder / "v.mp4"), maps_safetensors=file_record(folder / "maps.safetensors"))


def test_files_without_records_only_have_to_exist(folder):
    check(folder)


def test_a_missing_tensor_file_is_not_ready(folder):
    (folder / "maps.safetensors").unlink()
    with pytest.raises(NotReadyError, match=r"maps\.safetensors is not there yet"):
        check(folder, video_may_be_absent=True)


def test_a_missing_video_is_not_ready(folder):
    (folder / "v.mp4").unlink()
    with pytest.raises(NotReadyError, match=r"v\.mp4 is not there yet"):
        check(folder)


def test_a_missing_video_is_accepted_if_it_may_be_absent(folder):
    record = file_record(folder / "v.mp4")
    (folder / "v.mp4").unlink()
    check(folder, video_may_be_absent=True, v_mp4=record)


def test_a_file_that_is_shorter_than_listed_is_not_ready(folder):
    record = file_record(folder / "v.mp4")
    (folder / "v.mp4").write_bytes(b"a vi")
    with pytest.raises(NotReadyError, match="4 of 7 bytes"):
        check(folder, v_mp4=record)


def test_sizes_are_checked_before_any_digest_is_computed(folder):
    (folder / "maps.safetensors").write_bytes(b"some")
    wrong = file_record(folder / "v.mp4") | {"sha256": "0" * 64}
    with pytest.raises(NotReadyError, match=r"maps\.safetensors"):
        check(folder, v_mp4=wrong, maps_safetensors={"bytes": 12, "sha256": "0" * 64})


def test_a_file_that_is_longer_than_listed_is_refused(folder):
    record = file_record(folder / "v.mp4")
    (folder / "v.mp4").write_bytes(b"a video and more")
    with pytest.raises(ManifestError) as caught:
        check(folder, v_mp4=record)
    (problem,) = caught.value.problems
    assert (problem.field, problem.found, problem.expected) == ("files['v.mp4']", "16 bytes", "7 bytes")


def test_a_file_with_a_different_digest_is_refused(folder):
    record = file_record(folder / "v.mp4")
    (folder / "v.mp4").write_bytes(b"A VIDEO")
    with pytest.raises(ManifestError) as caught:
        check(folder, v_mp4=record)
    (problem,) = caught.value.problems
    assert problem.expected == record["sha256"]
    assert file_record(folder / "v.mp4")["sha256"] in problem.found
    assert "manifest last" in problem.remedy


def test_a_manifest_of_very_many_folders_is_refused_after_a_bounded_number_of_lookups(folder, monkeypatch):
    looked_up = []
    lstat = os.lstat
    (folder / "_").mkdir()
    monkeypatch.setattr(os, "lstat", lambda path: looked_up.append(path) or lstat(path))
    for first in range(5_000):
        (folder / f"{first}/a/a").mkdir(parents=True)
    looked_up.clear()
    problem = refused_once(written(folder, attention=[f"{first}/a/a/x" for first in range(5_000)]))
    assert "more than 10,000 folders" in problem.found
    assert len(looked_up) < 20_000


def test_files_of_one_folder_cost_one_lookup_each(folder, monkeypatch):
    (folder / "a/b").mkdir(parents=True)
    names = [f"a/b/{number}.safetensors" for number in range(100)]
    for name in names:
        (folder / name).touch()
    looked_up = []
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: looked_up.append(path) or lstat(path))
    read_manifest(written(folder, attention=names))
    assert len([path for path in looked_up if str(path).startswith(f"{folder}/a")]) == len(names) + 2


def test_thousands_of_refused_paths_give_a_short_error(folder):
    with pytest.raises(ManifestError) as caught:
        read_manifest(written(folder, attention=["attention_videos/" + "x" * 300] * 5_000))
    assert len(caught.value.problems) == 100
    assert len(str(caught.value)) < 100_000


def test_a_manifest_with_thousands_of_words_is_refused(folder):
    tokens = [{"slug": f"w{number}", "text": "w"} for number in range(1001)]
    with pytest.raises(ManifestError, match="at most 1000 items"):
        read_manifest(written(folder, tokens=tokens))


class TestOpening:
    """What is opened after verification is what was verified."""

    def test_a_verified_file_can_be_opened_again_and_again(self, folder):
        manifest = read_manifest(written(folder))
        digests = verify(manifest, video_may_be_absent=False)
        for path, name in ((manifest.video, "v.mp4"), (manifest.attention[0], "maps.safetensors")):
            for _ in range(2):
                with manifest.open_file(path) as file:
                    assert hashlib.sha256(file.read()).hexdigest() == digests[name]

    @pytest.mark.parametrize("name", ["v.mp4", "maps.safetensors"])
    @pytest.mark.parametrize("change", ["exchanged", "written", "grown", "written with the old time", "truncated"])
    def test_a_file_that_changed_since_is_not_opened(self, folder, name, change):
        manifest = read_manifest(written(folder))
        verify(manifest, video_may_be_absent=False)
        path, content = folder / name, (folder / name).read_bytes()
        before = path.stat()
        if change == "exchanged":
            (folder / "new").write_bytes(content)
            (folder / "new").rename(path)
        elif change == "grown":
            path.write_bytes(content + b"!")
        elif change == "truncated":
            os.truncate(path, 1)
        else:
            path.write_bytes(content[::-1])
        if change == "written with the old time":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(NotReadyError, match=rf"{name}: found it changed while it was in use; expected a finished"):
            manifest.open_file(path)

    def test_before_verification_any_state_is_opened(self, folder):
        manifest = read_manifest(written(folder))
        for content in (b"one", b"another"):
            (folder / "v.mp4").write_bytes(content)
            with manifest.open_file(folder / "v.mp4") as file:
                assert file.read() == content

    @pytest.mark.parametrize("target", ["outside.mp4", "outside"], ids=["the file", "a folder on the way"])
    def test_a_link_that_leads_out_is_not_followed_even_if_it_appears_after_reading(self, folder, target):
        (folder / "clips").mkdir()
        (folder / "clips" / "v.mp4").write_bytes(b"a video")
        manifest = read_manifest(written(folder, video="clips/v.mp4"))
        outside = folder.with_name("outside")
        outside.mkdir()
        (outside / "v.mp4").write_bytes(b"a video")
        if target == "outside":
            (folder / "clips").rename(folder / "before")
            (folder / "clips").symlink_to(outside)
        else:
            manifest.video.unlink()
            manifest.video.symlink_to(outside / "v.mp4")
        with pytest.raises(OSError, match="link"):
            manifest.open_file(manifest.video)
        with pytest.raises(OSError, match="link"):
            verify(manifest, video_may_be_absent=False)

    def test_a_link_that_stays_inside_is_followed(self, folder):
        (folder / "v.mp4").rename(folder / "real.mp4")
        (folder / "v.mp4").symlink_to("real.mp4")
        manifest = read_manifest(written(folder))
        with manifest.open_file(manifest.video) as file:
            assert file.read() == b"a video"

    def test_a_fifo_is_refused_without_waiting_for_its_writer(self, folder):
        manifest = read_manifest(written(folder))
        manifest.video.unlink()
        os.mkfifo(manifest.video)
        with pytest.raises(OSError, match="FIFO"):
            manifest.open_file(manifest.video)
