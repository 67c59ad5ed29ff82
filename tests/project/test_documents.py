"""What the documents name exists: commands, options, files, settings."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "firmware_config").glob("*.md")])
MODULES = {"cageclock": "edge.cli", "cageclock-train": "training.cli", "cageclock-station": "station.cli"}


def commands() -> list[tuple[str, str]]:
    """Every command line of ours that stands indented or fenced in a document, with the document's name."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text().replace("\\\n", " ")
        for line in text.splitlines():
            match = re.match(r"\s*(?:\$ )?((?:cageclock|cageclock-train|cageclock-station) .*?)(?:\s+#.*)?$", line)
            if match and (line.startswith("    ") or "```" in text):
                found.append((document.name, match.group(1)))
    return found


@cache
def help_of(module: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{module} {words}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("document", "command"), commands(), ids=lambda value: str(value)[:60])
def test_a_command_in_a_document_exists_with_its_options(document: str, command: str) -> None:
    program, *words = command.split()
    module = MODULES[program]
    sub = [words[0]] if words and not words[0].startswith("-") else []
    text = help_of(module, *sub)
    if sub and len(words) > 1 and re.search(rf"^    {re.escape(words[1])}\b", text, re.MULTILINE):  # an action
        text = help_of(module, *sub, words[1])
    for option in re.findall(r"(?<!\S)--[a-z-]+", command):
        assert re.search(rf"{re.escape(option)}\b", text), f"{document}: {program} {' '.join(sub)} has no {option}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_in_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target} does not exist"


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets


def test_every_payload_of_a_device_is_in_the_table_of_topics() -> None:
    text = (ROOT / "docs/mqtt.md").read_text()
    schemas = {path.name for path in (ROOT / "edge/contract/schemas").glob("*.json")} - {"manifest.v1.json"}
    assert {name for name in schemas if f"(../edge/contract/schemas/{name})" in text} == schemas


def test_every_test_that_the_field_cases_name_exists() -> None:
    text = (ROOT / "docs/field-cases.md").read_text()
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text)
    assert len(named) > 50
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


@pytest.mark.parametrize("program", ["edge", "station", "training"])
def test_every_folder_of_a_program_is_in_the_map(program: str) -> None:
    """A newcomer finds the folder of a line in CONTRIBUTING.md, so a new folder has its sentence there."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## Where things live")[1].split("## Recipes")[0]
    there = {path.name for path in (ROOT / program).iterdir() if (path / "__init__.py").is_file()}
    assert {name for name in there if f"`{program}/{name}/`" not in table} == set()
    named = set(re.findall(rf"`{program}/(\w+)/`", table))
    assert named <= there


def test_every_file_on_a_readings_way_exists() -> None:
    way = (ROOT / "docs/a-readings-way.md").read_text().split("## The words")[0]
    sources = [path.relative_to(ROOT).as_posix() for top in ("edge", "station") for path in (ROOT / top).rglob("*.py")]
    named = re.findall(r"`([\w/]+\.py)`", way)
    assert len(named) > 25
    assert [name for name in named if not any(path.endswith(name) for path in sources)] == []
