"""The one reader of settings: the same errors for the device's file and for those of the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.load import load_config
from edge.contract.service.settings.document import parse_document, read_document, read_nodes
from edge.errors import ConfigError, OperatorError
from station.ingest.settings import load_settings
from station.page.settings import load_page_settings
from station.provision.lab import load_lab

READERS = {
    "cageclock.yaml": load_config,
    "station.yaml": lambda path: load_settings(path, {}),
    "page.yaml": lambda path: load_page_settings(path, {}),
    "lab.yaml": load_lab,
}
KEY = {"cageclock.yaml": "device_id", "station.yaml": "name", "page.yaml": "data", "lab.yaml": "station"}


def refusal(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(OperatorError) as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("name", READERS)
def test_a_key_that_stands_twice_is_refused_everywhere_with_both_lines(tmp_path: Path, name: str) -> None:
    key = KEY[name]
    wanted = f"/{name}, line 3: {key}: expected each key once, got it twice, on lines 1 and 3"
    assert refusal(tmp_path, name, f"{key}: a\n# between\n{key}: b\n") == wanted


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path, name: str) -> None:
    key = KEY[name]
    found = refusal(tmp_path, name, f"\n{key}x: a\n")
    assert (
        found == f"/{name}, line 2: {key}x: expected a known key (did you mean {key!r}?), got the unknown key '{key}x'"
    )


@pytest.mark.parametrize("name", READERS)
def test_a_missing_key_is_named(tmp_path: Path, name: str) -> None:
    others = {"page.yaml": "port: 80\n", "station.yaml": "port: 80\n", "lab.yaml": "leds: 'on'\n"}
    assert ": expected this key" in refusal(tmp_path, name, others.get(name, "bundle:\n"))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\n", "line 1: expected plain values, got an anchor or alias"),
        ("- 1\n", "(the file): expected a section of keys"),
        ("", "(the file): expected a section of keys such as `name: value`, got an empty file"),
        ("a: [\n", "line 2, column 1: expected YAML"),
        ("a: !!python/name:os.system x\n", "line 1, column 4: expected YAML"),
        ("{[1]: 2}\n", "expected a plain key"),
        ("a: \x07\n", "(the file): expected YAML"),
        ("[" * 5000, "YAML of modest depth"),
        ("a: 1 #" + "x" * 200_001, "expected at most 200000 characters"),
    ],
)
def test_what_is_no_plain_yaml_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert said in refusal(tmp_path, name, text)


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match=rf"{name}: no such settings file"):
        READERS[name](tmp_path / name)
    (tmp_path / name).write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(OperatorError, match=rf"{name}: the settings cannot be read: it is not UTF-8 text"):
        READERS[name](tmp_path / name)


def test_a_byte_order_mark_of_a_windows_editor_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: lab1\r\nport: 5\r\n")
    assert read_document(tmp_path / "a.yaml").values == {"name": "lab1", "port": 5}


def test_values_are_those_of_json_or_as_asked_the_text_that_stands_there() -> None:
    text = "a: NO\nb: 0123\nc: 19:00\nd: true\ne: ~\nf: [1, 2.5]\n"
    assert parse_document(text).values == {"a": "NO", "b": "0123", "c": "19:00", "d": True, "e": None, "f": [1, 2.5]}
    plain = {"a": "NO", "b": "0123", "c": "19:00", "d": "true", "e": "~", "f": ["1", "2.5"]}
    assert parse_document(text, as_text=True).values == plain


def test_an_error_deep_inside_is_placed_at_its_key_or_at_the_section_around_it() -> None:
    document = parse_document("a:\n  b:\n    - c: 1\n    - c: 2\n", "x.yaml")
    for path, line in (("a.b[1].c", 4), ("a.b[1].missing", 4), ("a.b[0]", 3), ("a.other", 1)):
        assert document.place(ConfigError(path, "x", "y")).line == line
    assert str(document.place(ConfigError("top", "x", "y"))) == "x.yaml: top: expected x, got y"


def test_a_tree_to_be_written_again_is_read_as_strictly(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("camera:\n  width: 1\n  width: 2\n")
    with pytest.raises(ConfigError, match=r"settings.yaml, line 3: camera.width: expected each key once"):
        read_nodes(path)
    path.write_text("")
    assert read_nodes(path).value == []
