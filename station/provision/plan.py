"""What one card is to hold: every file that provision writes, in the order in which it is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from edge.contract.bundle.bundle import read_bundle
from edge.contract.bundle.trust import Trust, begin
from edge.errors import BundleError, OperatorError
from edge.version import VERSION
from station.provision import device_settings, kernel_files, templates
from station.provision.authority import Credentials
from station.provision.debs import read_debs
from station.provision.fleet import Device
from station.provision.generation import Generation, Way
from station.provision.lab import Lab, ssh_keys, wifi_key
from station.provision.partition import Partition
from station.provision.wheels import read_wheels

FOLDER = "cageclock"
NOT_STARTED = (
    "CageClock: first boot of {device}\r\nresult: NOT STARTED\r\nadvice: put the card into the device, give it power; "
    "this file says how it went, some minutes later\r\ncard: {instance}\r\n"
)
_PACKAGES = ("python3-venv", "python3-numpy", "python3-yaml", "python3-picamera2")


@dataclass(frozen=True, slots=True)
class Plan:
    """files: path on the partition to content; those that start the first boot come last. notes: for the operator.

    instance: names this very content; a card provisioned again with other content works again. secrets: paths that the
    first boot takes off again. starters: what it takes back once it has begun.
    """

    device: Device
    instance: str
    files: dict[str, bytes]
    notes: tuple[str, ...]
    starters: tuple[str, ...] = ()
    secrets: tuple[str, ...] = (f"{FOLDER}/device.key",)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where the plan's parts come from. folder: what the lab's file names is beside it. architecture: Debian's name."""

    lab: Lab
    folder: Path
    architecture: str = "arm64"


def make_plan(
    lookup: Lookup, device: Device, credentials: Credentials, generation: Generation, card: Partition
) -> Plan:
    """Return the card's files; nothing is written.

    Raises:
        OperatorError: a part is missing or wrong, or the card's own config.txt or cmdline.txt is.
        BundleError: the bundle is not signed by a trusted key.
    """
    lab, folder = lookup.lab, lookup.folder
    settings = device_settings.compose(lab, folder, device)
    notes = [*generation.notes, *device_settings.check(settings, device)]
    payload, more = _payload(lookup, generation)
    notes += more
    payload |= {
        "cageclock.yaml": settings.encode(),
        "ca.pem": credentials.ca,
        "device.pem": credentials.certificate,
        "device.key": credentials.key,
    }
    keys = ssh_keys(lab.ssh, folder)
    psk = wifi_key(lab.wifi, folder) if lab.wifi is not None else None
    config, cmdline = (_text(card, name) for name in ("config.txt", "cmdline.txt"))
    config = kernel_files.with_block(config, templates.config_lines(lab), card.name)
    parameters = templates.parameters(lab)
    if generation.way is Way.CLOUD_INIT:
        network, started = templates.network_config(lab, psk), templates.user_data(lab, device.name, keys)
    else:
        network, started = "", templates.first_run(lab, device.name, keys, psk)
    manifest = _manifest(lookup, device, generation, payload)
    instance = f"cageclock-{device.name}-{_digest([manifest, config, *parameters, network, started])}"
    manifest = json.dumps({**json.loads(manifest), "instance": instance}, indent=1)
    files = {f"{FOLDER}/{name}": content for name, content in payload.items()}
    files[f"{FOLDER}/card.json"] = manifest.encode()
    files["first-boot.txt"] = NOT_STARTED.format(device=device.name, instance=instance).encode()
    files["config.txt"] = config.encode()
    if generation.way is Way.CLOUD_INIT:
        files["network-config"] = network.encode()
        files["meta-data"] = templates.meta_data(instance).encode()
        files["user-data"] = started.encode()
        parameters = [*parameters, f"ds=nocloud;i={instance}"]
    else:
        files["firstrun.sh"] = started.encode()
        # systemd.run alone would go on to the login; a restart brings the new name and groups everywhere.
        parameters += ["systemd.run=/boot/firmware/firstrun.sh", "systemd.run_success_action=reboot"]
        parameters += ["systemd.run_failure_action=reboot", "systemd.unit=kernel-command-line.target"]
    files["cmdline.txt"] = kernel_files.with_parameters(cmdline, parameters, card.name).encode()
    starters = ("firstrun.sh", "cmdline.txt") if generation.way is Way.FIRST_RUN else ()
    return Plan(device, instance, files, tuple(notes), starters)


def _payload(lookup: Lookup, generation: Generation) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of our folder that are the same for all devices, and sentences for the operator."""
    lab, folder = lookup.lab, lookup.folder
    picamera = lab.camera != "none"
    wheels = read_wheels(folder / lab.wheels, generation.pythons, lookup.architecture, picamera=picamera)
    notes = list(wheels.notes)
    payload = {f"wheels/{path.name}": path.read_bytes() for path in wheels.paths}
    if lab.debs is not None and lab.debs_keyring is not None:
        debs = read_debs(folder / lab.debs, folder / lab.debs_keyring)
        payload |= {f"debs/{path.name}": path.read_bytes() for path in debs}
        absent = [name for name in _packages(lab) if not any(path.name.startswith(f"{name}_") for path in debs)]
        if absent:
            notes.append(f"debs: no {', '.join(absent)}; the first boot fails unless the image has them already")
    else:
        notes.append(
            f"no debs in lab.yaml: the first boot must reach Debian's and the Pi's archive once, for "
            f"{', '.join(_packages(lab))}"
        )
    keys = {Path(name).name: _read(folder / name, "trusted_keys") for name in lab.trusted_keys}
    if len(keys) != len(lab.trusted_keys):
        raise OperatorError("trusted_keys: two files have the same name; on the device they lie in one folder")
    payload |= {f"keys/{name}": content for name, content in keys.items()}
    trust = _trust(lab, folder)
    if trust is not None:
        if "trust.json" in keys:
            raise OperatorError("trusted_keys: trust.json is no key; name it under trust")
        payload["keys/trust.json"] = trust.content()
    if lab.bundle is not None:
        path = folder / lab.bundle
        if not keys and trust is None:
            raise OperatorError("bundle without trusted_keys: the device would refuse it; name the key that signed it")
        try:
            read_bundle(path, list(keys.values()) if trust is None else trust.authority(lab.channel or ""))
        except BundleError as error:
            raise BundleError(f"bundle: {error}; the device would refuse it") from error
        name = path.name if path.name.endswith(".bundle") else f"{path.name}.bundle"
        payload[f"bundle/{name}"] = path.read_bytes()
    system = {"sshd.conf": "sshd.conf", "upgrades.conf": "upgrades.conf"}
    payload |= {f"system/{name}": templates.text(source).encode() for name, source in system.items()}
    if lab.time_server is not None:
        text = templates.text("timesyncd.conf").replace("ntp.lab.example", lab.time_server)
        payload["system/timesyncd.conf"] = text.encode()
    for name in ("first_boot.py", "cageclock-first-boot.service"):
        payload[name] = templates.text(name).encode()
    return payload, notes


def _trust(lab: Lab, folder: Path) -> Trust | None:
    """Return the lab's trust statements, checked as the device will check them.

    Raises:
        OperatorError: they cannot be used, or have no such channel.
    """
    if lab.trust is None:
        return None
    try:
        trust = begin(_read(folder / lab.trust, "trust"))
        trust.authority(lab.channel or "")
    except BundleError as error:
        raise OperatorError(f"trust: {lab.trust}: {error}") from error
    return trust


_PLACES = {
    "system/sshd.conf": "/etc/ssh/sshd_config.d/10-cageclock.conf",
    "system/upgrades.conf": "/etc/apt/apt.conf.d/52cageclock-upgrades",
    "system/timesyncd.conf": "/etc/systemd/timesyncd.conf.d/cageclock.conf",
}


def _packages(lab: Lab) -> tuple[str, ...]:
    return _PACKAGES if lab.camera != "none" else _PACKAGES[:1]


def _manifest(lookup: Lookup, device: Device, generation: Generation, payload: dict[str, bytes]) -> str:
    """Return card.json without the instance, by which the first boot checks the card and knows what to do."""
    values = {
        "device": device.name,
        "version": VERSION,
        "architecture": lookup.architecture,
        "pythons": generation.pythons,
        "way": generation.way.value,
        "picamera": lookup.lab.camera != "none",
        "packages": _packages(lookup.lab),
        "system": {name: place for name, place in _PLACES.items() if name in payload},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(payload.items())},
    }
    return json.dumps(values, sort_keys=True)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _text(card: Partition, name: str) -> str:
    try:
        return (card.read(name) or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise OperatorError(
            f"{card.name}: {name}: expected text, got bytes that are none; flash the card anew"
        ) from error


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{key}: {path}: cannot be read: {error.strerror}") from error
