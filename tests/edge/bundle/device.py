"""A device of the lab in a folder, for tests of what is installed on it."""

from pathlib import Path

import msgspec

from edge.bundle.slots import ACTIVE, Slots
from edge.cli import main
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, read_bundle, write_bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import GOLDEN_OUTPUTS
from edge.vision.model.golden import GoldenOutputs
from tests.edge.capture.running import write_settings

PRIVATE, PUBLIC = new_key_pair()


class Device:
    """A state directory, settings that trust one key, and bundles signed with it."""

    def __init__(self, folder: Path, bundle: Bundle, trial: str = "") -> None:
        self.folder, self._bundle = folder, bundle
        (folder / "lab.pub").write_bytes(PUBLIC)
        trusted = f"trusted_keys: [{folder / 'lab.pub'}], target_groups: [test, albino]{trial}"
        more = f"bundle: {{{trusted}}}\nschedule: {{interval_light_s: 1, interval_dark_s: 1}}\n"
        self.settings = write_settings(folder, more=more)
        self.state = folder / "state"
        (self.state / "inbox").mkdir(parents=True)
        self.slots = Slots(self.state)

    def make(self, release: int, name: str = "new", key: bytes = PRIVATE, **changes) -> Path:
        path = self.folder / f"{name}.bundle"
        files = dict(self._bundle.files) | changes.pop("files", {})
        manifest = msgspec.structs.replace(self._bundle.manifest, release=release, **changes)
        write_bundle(path, manifest, files, key)
        return path

    def install(self, path: Path) -> int:
        return main(["bundle", "install", str(path), "--config", str(self.settings)])

    def run(self, *arguments: str) -> int:
        return main(["bundle", *arguments, "--config", str(self.settings)])

    def active(self) -> int:
        """The release that the active link leads to, 0 for none."""
        slot = self.slots.target(ACTIVE)
        return 0 if slot is None else read_bundle(slot, [PUBLIC]).manifest.release


def golden_of_another(bundle: Bundle) -> bytes:
    golden = jsontext.decode(bundle.files[GOLDEN_OUTPUTS], GoldenOutputs)
    outputs = {name: [[-1 - value for value in one] for one in many] for name, many in golden.outputs.items()}
    return jsontext.encode(msgspec.structs.replace(golden, outputs=outputs))
