"""What only people know of a model: a YAML file of answers, a template for it, and the demo's own answers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from edge.contract.service.settings.document import parse_yaml
from edge.errors import ConfigError, OperatorError
from training.card.items import ITEMS, Item

LICENSE = "license"
"""The one key beside the items': the licence of the model, as Hugging Face names it (apache-2.0, cc-by-4.0, other)."""
_KEYS = (*(item.key for item in ITEMS), LICENSE)

DEMO: Mapping[str, str] = {
    LICENSE: "apache-2.0",
    "abstract": "A locator and an age model for mice seen from above, trained, calibrated and tested on simulated "
    "cages. It shows that the whole path works, from the picture to the signed bundle, and makes no biological claim.",
    "background": "Coat, posture and shape change with age, and a camera on the cage sees them without handling. The "
    "simulation draws such changes; how well real mice show them is not studied here.",
    "intended_use": "To try the device, the transport and the station, and to develop them. It knows the appearance of "
    "simulated mice only. It is not for real animals: their pictures are outside its domain, and the device then "
    "gives no age.",
    "inequalities": "None are known: simulated animals of both sexes look alike but for what the simulation draws.",
    "source_of_data": "Rendered by `cageclock-train simulate`; no animal was photographed. They are representative of "
    "the simulation only.",
    "eligibility": "Every simulated animal; of its pictures those where it is stretched out and 80% of it visible.",
    "ethics": "Not needed: no animals took part.",
    "funding": "None for the model.",
    "interests": "None; those who wrote the simulation also judged the model on it.",
    "protocol": "None was written beforehand; the steps stand in docs/training.md.",
    "registration": "Not registered: no study of animals.",
    "data_sharing": "Nothing needs to be shared: the same command and seed render the same pictures.",
    "involvement": "Nobody was involved; no animals and no keepers were concerned.",
    "interpretation": "The error is near what the simulated appearance allows (docs/training.md). That says nothing of "
    "mice.",
    "limitations": "Trained on simulated mice; no biological claim. One strain, one kind of cage, drawn coats. "
    "Estimates are drawn towards the middle of the ages. Some foreign scenes (brown coats, juveniles, other floors) "
    "are not recognised as such.",
    "next_steps": "Training and testing on real animals of several rooms.",
}


def read_answers(path: Path | None) -> dict[str, str]:
    """Return the answers of a YAML file by key, without the empty ones; none of no file.

    Raises:
        OperatorError: it cannot be read, has an unknown key, or an answer is no text.
    """
    if path is None:
        return {}
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OperatorError(
            f"{path}: there is no such file; write one with `cageclock-train card-template --out {path}`"
        ) from error
    except (ConfigError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: expected YAML, `key: text` or `key: |` and lines below: {error}") from error
    for key, value in found.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"; did you mean {near[0]}" if near else "; `cageclock-train card-template` writes all keys"
            raise OperatorError(f"{path}: {key}: expected a key of the model card, got {str(key)[:80]!r}{hint}")
        if value is not None and not isinstance(value, str):
            raise OperatorError(f"{path}: {key}: expected text, got {value!r:.80}; put it in quotes")
    return {key: value.strip() for key, value in found.items() if value is not None and value.strip()}


def missing_required(answers: Mapping[str, str]) -> list[Item]:
    """Return the items without which a bundle of own animals is not signed, as far as they are unanswered."""
    return [item for item in ITEMS if item.required and item.key not in answers]


def write_template(path: Path) -> None:
    """Write all questions with empty answers as YAML.

    Raises:
        OperatorError: the file is there already: answers are never overwritten.
    """
    if path.exists():
        raise OperatorError(f"{path}: is there already and is not overwritten; name another file, or move it away")
    lines = [
        "# The model card's questions, after TRIPOD+AI (Collins et al., BMJ 2024;385:e078378).",
        "# What is left empty is answered from the data where they can, else listed as unanswered.",
        "# Several lines: put | after the colon and indent the lines below.",
        "",
        "# Licence of the model, as Hugging Face names it: apache-2.0, cc-by-4.0, other.",
        f"{LICENSE}:",
    ]
    for item in ITEMS:
        needed = " Required before a bundle of own animals is signed." if item.required else ""
        lines += ["", f"# {item.number}  {item.title}: {item.asks}{needed}", f"{item.key}:"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
