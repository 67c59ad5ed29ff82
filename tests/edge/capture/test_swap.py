"""How long a swap of the model keeps captures waiting."""

from __future__ import annotations

import time
from pathlib import Path

from edge.bundle.canary import Verdict
from edge.bundle.install import Installer
from edge.capture.model import ModelSource
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle
from tests.edge.bundle.device import Device


def test_a_swap_pauses_captures_for_less_than_a_second(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """Verifying, loading and the rehearsal of a model on trial; by processor time, for the machine is a busy one."""
    device = Device(tmp_path, tiny_bundle)
    config = load_config(device.settings)
    took_s = []
    source = ModelSource(config)
    for release in (1, 2, 3, 4):
        path = device.make(release)
        with (
            Installer(config, lambda _path, _keys: Verdict(problems=())) as installer,
            path.open("rb") as file,
        ):
            assert installer.install(path.name, file.fileno()).result == "installed"
        begin_s = time.process_time()
        model = source.get()
        took_s.append(time.process_time() - begin_s)
        assert model is not None
        assert model.describe().release == release
    assert min(took_s[1:]) < 1.0, took_s  # the first one imports the runtime
