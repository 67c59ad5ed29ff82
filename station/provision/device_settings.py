"""cageclock.yaml of one device: the lab's sections, with what the table and the card decide laid over them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from edge.contract.service.settings.document import read_nodes
from edge.errors import OperatorError
from station.provision.fleet import Device
from station.provision.lab import Lab

ETC = "/etc/cageclock"
_OURS = ("device_id", "state_dir", "mqtt")
_TUNING = {"imx708_noir": "imx708_noir.json", "imx219_noir": "imx219_noir.json", "imx477_noir": "imx477_noir.json"}


def compose(lab: Lab, folder: Path, device: Device) -> str:
    """Return the settings as YAML text; what stands in the lab's sections is written as it stands there.

    Raises:
        OperatorError: the lab's sections cannot be read, or decide what the card decides.
    """
    root = read_nodes(folder / lab.settings) if lab.settings is not None else yaml.MappingNode(_MAP, [])
    given = {key.value for key, _ in root.value}
    for key in _OURS:
        if key in given:
            raise OperatorError(f"{lab.settings}: {key}: provision writes this section itself; take it out")
    if (lab.trust is None) != (lab.channel is None):
        raise OperatorError("lab.yaml: expected trust and channel together: the statements, and whose bundles count")
    if lab.trusted_keys and "trusted_keys" in _keys_in(root, "bundle"):
        raise OperatorError(f"{lab.settings}: bundle.trusted_keys: lab.yaml has trusted_keys, too; leave it to one")
    _set(root, ("device_id",), device.name)
    _set(root, ("state_dir",), "/var/lib/cageclock")
    if ("cage", "id") not in device.settings:
        _set(root, ("cage", "id"), device.name)
    for keys, cell in device.settings.items():
        _set(root, keys, cell, as_written=keys[1] not in ("id", "subject", "strain"))
    if lab.camera != "none":
        _set(root, ("camera", "backend"), "picamera")
        if lab.camera in _TUNING and "picamera" not in _keys_in(root, "camera"):
            _set(root, ("camera", "picamera", "tuning_file"), _TUNING[lab.camera])
    elif "backend" not in _keys_in(root, "camera"):
        raise OperatorError("lab.yaml: camera: none, and the lab's settings name no camera.backend either")
    fixed: dict[tuple[str, ...], object] = {
        ("mqtt", "host"): lab.broker.host,
        ("mqtt", "port"): lab.broker.port,
        ("mqtt", "station"): lab.station,
        ("mqtt", "tls", "ca"): f"{ETC}/ca.pem",
        ("mqtt", "tls", "certificate"): f"{ETC}/device.pem",
        ("mqtt", "tls", "key"): "credential:device.key",
    }
    for path, value in fixed.items():
        _set(root, path, value)
    if lab.trusted_keys:
        _set(root, ("bundle", "trusted_keys"), [f"{ETC}/keys/{Path(name).name}" for name in lab.trusted_keys])
    if lab.trust is not None:
        for key in ("trust", "channel"):
            if key in _keys_in(root, "bundle"):
                raise OperatorError(f"{lab.settings}: bundle.{key}: lab.yaml has {key}, too; leave it to one")
        _set(root, ("bundle", "trust"), f"{ETC}/keys/trust.json")
        _set(root, ("bundle", "channel"), lab.channel)
    text: str = yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True)
    return f"# {device.name}: written by `cageclock-station provision`; change lab.yaml or the fleet's table.\n{text}"


def check(text: str, device: Device) -> list[str]:
    """Return the warnings of `cageclock check` about the settings; the device's own program judges them.

    Raises:
        OperatorError: a setting is wrong; every one is named.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cageclock.yaml"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "edge.cli", "check", str(path)], capture_output=True, text=True, check=False
        )
        # The file and its lines are not the person's: a key's path stands behind them.
        place = re.compile(rf"{re.escape(str(path))}(, line \d+)?: ")
        said = [place.sub("", line) for line in done.stderr.splitlines() if line]
    if done.returncode != 0:
        wrong = "\n  ".join(line.removeprefix("cageclock: ") for line in said)
        raise OperatorError(f"{device.name}: its settings would be refused on the device:\n  {wrong}")
    return [line.removeprefix("cageclock: ").removeprefix("warning: ") for line in said]


_MAP = "tag:yaml.org,2002:map"


def _keys_in(root: yaml.MappingNode, section: str) -> set[str]:
    node = next((value for key, value in root.value if key.value == section), None)
    return {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()


def _set(root: yaml.MappingNode, keys: tuple[str, ...], value: object, *, as_written: bool = False) -> None:
    """Put a value at a path, in place of what is there. as_written: a plain scalar, read as the table's text reads."""
    *path, last = keys
    node = root
    for key in path:
        inner = next((one for name, one in node.value if name.value == key), None)
        if not isinstance(inner, yaml.MappingNode):
            node.value = [(name, one) for name, one in node.value if name.value != key]
            inner = yaml.MappingNode(_MAP, [])
            node.value.append((_node(key), inner))
        node = inner
    if as_written:
        tag = yaml.SafeLoader("").resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, str(value), (True, False)
        )
        fresh: yaml.Node = yaml.ScalarNode(tag, str(value))
    else:
        fresh = _node(value)
    node.value = [(name, one) for name, one in node.value if name.value != last]
    node.value.append((_node(last), fresh))


def _node(value: object) -> yaml.Node:
    node: yaml.Node = yaml.SafeDumper(io.StringIO()).represent_data(value)
    return node
