"""lab.yaml: what all cards of a lab have in common, read strictly."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge.contract.address import wrong_host
from edge.contract.base import Struct
from edge.contract.service.credential import read_password
from edge.contract.service.settings.convert import Wording, convert
from edge.contract.service.settings.document import read_document
from edge.contract.topics import check_name
from edge.errors import ConfigError, MessageError, OperatorError

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class Broker(Struct, frozen=True, kw_only=True):
    """The broker as the devices reach it; always with TLS."""

    host: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883


class Wifi(Struct, frozen=True, kw_only=True):
    """A WPA2 or WPA3 personal network. password_file: holds the password in its one line; it is never a setting.

    country: ISO 3166 code, such as CH; without the right one the radio stays off.
    """

    ssid: Text
    password_file: Text
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    hidden: bool = False


class Ssh(Struct, frozen=True, kw_only=True):
    """Who may log in: by key alone. keys: files with public keys, one a line."""

    user: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,30}$")]
    keys: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]


class Lab(Struct, frozen=True, kw_only=True):
    """The whole file; files and folders are looked for beside it.

    authority: the folder of ca.pem and ca.key, in which the devices' keys and certificates are kept, too.
    settings: sections of cageclock.yaml that all devices share (camera, schedule, light_cycle, ...).
    camera: the module, by which the overlay is chosen; `none` for simulated cages and stored pictures.
    wheels: folder of the program and what it needs; debs: folder of Debian packages with the archive's signed lists.
    trusted_keys: public keys that may sign bundles. trust: the lab's trust statements (trust.json) in their place, with
    `channel`, the one whose bundles the devices take. leds: whether the board's lamps burn beside the animals.
    infrared_gpio: the pin that switches the infrared lamps on at boot.
    """

    broker: Broker
    station: Text
    authority: Text
    ssh: Ssh
    wheels: Text
    settings: Text | None = None
    camera: Literal["imx708", "imx708_noir", "imx219", "imx219_noir", "imx477", "imx477_noir", "imx296", "none"]
    ethernet: bool = True
    wifi: Wifi | None = None
    time_server: Text | None = None
    debs: Text | None = None
    debs_keyring: Text | None = None
    bundle: Text | None = None
    trusted_keys: tuple[Text, ...] = ()
    trust: Text | None = None
    channel: Text | None = None
    leds: Literal["on", "off"] = "off"
    infrared_gpio: Annotated[int, msgspec.Meta(ge=2, le=27)] | None = None


WORDING = Wording(
    patterns={
        "^[A-Z]{2}$": "a country's two capital letters (ISO 3166), such as CH",
        "^[a-z][a-z0-9-]{0,30}$": "a user's name of 1-31 characters a-z, 0-9 and '-', such as lab",
    },
    secret="no secret in this file (name a file: password_file)",
)


def load_lab(path: Path) -> Lab:
    """Return the lab's settings.

    Raises:
        OperatorError: the file cannot be read, or a key is unknown, missing or wrong.
    """
    hint = "an example is in docs/provision.md, and what it holds is the same for all cards of a lab"
    found = read_document(path, as_text=True, hint=hint)
    lab = convert(replace(found, values=_without_empty(found.values)), Lab, WORDING, strict=False)
    try:
        check_name(lab.station)
    except MessageError as error:
        raise OperatorError(f"{path}: station: {error}") from error
    expected = wrong_host(lab.broker.host)
    if expected is not None:
        raise found.place(ConfigError("broker.host", expected, repr(lab.broker.host)))
    if lab.time_server is not None and (expected := wrong_host(lab.time_server)) is not None:
        raise found.place(ConfigError("time_server", expected, repr(lab.time_server)))
    if not lab.ethernet and lab.wifi is None:
        raise OperatorError(f"{path}: expected ethernet: true or a section wifi, got neither: no reading would arrive")
    if lab.debs is not None and lab.debs_keyring is None:
        raise OperatorError(
            f"{path}: debs without debs_keyring: name the archive's keyring (on a Pi: "
            "/usr/share/keyrings/raspberrypi-archive-keyring.gpg), by which the packages are checked"
        )
    return lab


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without keys that have none: `wifi:` with nothing behind it is no network."""
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value not in ("", "null", "~")
    }


def wifi_key(wifi: Wifi, folder: Path) -> str:
    """Return the network's 64 hexadecimal digits (IEEE 802.11i, 2004, annex H.4): what lies on the card is no password.

    Raises:
        OperatorError: no password file, or no password that WPA takes.
    """
    password = read_password(str(folder / wifi.password_file), "wifi.password_file") or ""
    if re.fullmatch(r"[0-9a-fA-F]{64}", password):
        return password.lower()
    if not (8 <= len(password) <= 63 and password.isascii()):
        raise OperatorError(
            f"wifi.password_file: expected a password of 8-63 plain characters, or 64 hexadecimal digits, got "
            f"{len(password)} characters{'' if password.isascii() else ', some of them not plain'}"
        )
    if not 1 <= len(wifi.ssid.encode()) <= 32:
        raise OperatorError(f"wifi.ssid: expected at most 32 bytes, got {len(wifi.ssid.encode())}")
    return hashlib.pbkdf2_hmac("sha1", password.encode(), wifi.ssid.encode(), 4096, 32).hex()


def ssh_keys(ssh: Ssh, folder: Path) -> list[str]:
    """Return the public keys of all files.

    Raises:
        OperatorError: a file cannot be read, or a line is no public key.
    """
    found = []
    for name in ssh.keys:
        path = folder / name
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError(f"ssh.keys: {path}: cannot be read: {error}") from error
        if "PRIVATE KEY" in text:
            raise OperatorError(f"ssh.keys: {path}: expected a public key, got a PRIVATE one; name the file {name}.pub")
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                found.append(_public_key(line.strip(), f"ssh.keys: {path}, line {number}"))
    if not found:
        raise OperatorError(f"ssh.keys: expected at least one public key, got none in {', '.join(ssh.keys)}")
    return found


def _public_key(line: str, where: str) -> str:
    kind, _, rest = line.partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if kind not in _KEY_TYPES or not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()) or len(blob) < 40:
        raise OperatorError(f"{where}: expected a public key such as `ssh-ed25519 AAAA... name`, got {line[:40]!r}")
    if not line.isprintable() or '"' in line or "'" in line:
        raise OperatorError(f"{where}: the key's comment holds a quotation mark or a character that cannot be seen")
    return line
