"""A folder's pictures come as people count, and what else lies there is counted by kind."""

from pathlib import Path

from edge.footage.folder import count_kinds, list_pictures, natural_order


def test_names_are_in_the_order_that_people_count_in() -> None:
    names = ["img10.png", "img2.png", "IMG1.PNG", "img02b.png", "b.png", "9.png", "10.png", "img2a.png", "a 3.png"]
    wanted = ["9.png", "10.png", "a 3.png", "b.png", "IMG1.PNG", "img2.png", "img2a.png", "img02b.png", "img10.png"]
    assert sorted(names, key=lambda name: natural_order(Path(name))) == wanted


def test_numbers_in_the_folders_name_do_not_count(tmp_path: Path) -> None:
    paths = [Path("10/img1.png"), Path("2/img2.png")]
    assert sorted(paths, key=natural_order) == paths


def test_what_is_no_picture_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a2.png", "a10.JPG", "._a2.png", ".hidden.jpg", ".DS_Store", "notes.txt", "b.txt", "Thumbs", "c.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "day.png").mkdir()
    found = list_pictures(tmp_path)
    assert [path.name for path in found.files] == ["a2.png", "a10.JPG"]
    output = "names that begin with a dot (3), .txt files (2)"
    assert count_kinds(found.passed_over).startswith(output)
    assert set(found.passed_over) == {
        "names that begin with a dot", ".txt files", "folders", "files without an ending", ".mp4 files",
    }  # fmt: skip


def test_a_kind_of_picture_that_is_not_read_here_is_not_passed_over(tmp_path: Path) -> None:
    """A folder of a phone's HEIC pictures is not empty: each is named when it cannot be read."""
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    assert [path.name for path in list_pictures(tmp_path).files] == ["IMG_1.HEIC"]
