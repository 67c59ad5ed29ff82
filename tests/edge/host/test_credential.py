"""One reader of passwords: every program logs in with the same one, or says in one sentence why it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.contract.service.credential import read_password
from edge.errors import OperatorError


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"geheim", "geheim"),
        (b"geheim\n", "geheim"),
        (b"geheim\r\n\r\n", "geheim"),
        ("gehäim\n".encode(), "gehäim"),
        ("gehäim\r\n".encode("utf-8-sig"), "gehäim"),
        ("gehäim\r\n".encode("utf-16"), "gehäim"),
        ("\ufeffgehäim".encode("utf-16-be"), "gehäim"),
        (b"two words", "two words"),
    ],
)
def test_the_password_is_the_files_one_line_whatever_editor_wrote_it(
    tmp_path: Path, content: bytes, password: str
) -> None:
    (tmp_path / "password").write_bytes(content)
    assert read_password(str(tmp_path / "password"), "mqtt.password_file") == password
    assert read_password(None, "mqtt.password_file") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"geheim-\xe4\n", "UTF-8"),
        (b"", "got none"),
        (b"\n\n", "got none"),
        (b" geheim\n", "the line begins with a blank"),
        (
            b"geheim\t\n",
            r"the line ends with a blank \(a space or a tab\), which an editor may have left there; remove",
        ),
        (b" geheim \n", "begins and ends with a blank"),
        (b"geheim \n", "If it belongs to the password, give this user another one on the broker, without blanks"),
        (b"geheim\nanother\n", "more lines"),
        (b"ge\0heim\n", "cannot be seen"),
        (b"x" * 70_000, "64 kB"),
    ],
)
def test_what_could_be_read_in_two_ways_is_one_sentence_without_the_password(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(OperatorError, match=words) as caught:
        read_password(str(tmp_path / "password"), "mqtt.password_file")
    assert "heim" not in str(caught.value)
    assert str(caught.value).startswith(f"mqtt.password_file: {tmp_path / 'password'}")
    with pytest.raises(OperatorError, match="cannot be read"):
        read_password(str(tmp_path), "mqtt.password_file")
