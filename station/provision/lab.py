"""lab.yaml: what all cards of a lab have in common, read strictly."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from edge.contract.address import wrong_host
from edge.contract.base import Struct
from edge.contract.service.credential import read_password
from edge.contract.service.yaml_keys import refuse_twice
from edge.contract.topics import check_name
from edge.errors import MessageError, OperatorError

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


class _TextLoader(yaml.BaseLoader):
    """Every value as the text that stands there: a network called NO and a password 0123 stay what they are."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, of which YAML would keep the last in silence."""
        refuse_twice(node)
        return super().construct_mapping(node, deep)


def load_lab(path: Path) -> Lab:
    """Return the lab's settings.

    Raises:
        OperatorError: the file cannot be read, or a key is unknown, missing or wrong.
    """
    try:
        found = yaml.load(path.read_bytes(), Loader=_TextLoader)
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot be read: {error.strerror}; an example is in docs/provision.md, and what it holds is the "
            "same for all cards of a lab"
        ) from error
    except yaml.YAMLError as error:
        raise OperatorError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise OperatorError(f"{path}: expected settings as `name: value` lines, got {type(found).__name__}")
    check_keys(found, Lab, str(path))
    try:
        lab = msgspec.convert(_without_empty(found), Lab, strict=False)
        check_name(lab.station)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{path}: {error}") from error
    except MessageError as error:
        raise OperatorError(f"{path}: station: {error}") from error
    expected = wrong_host(lab.broker.host)
    if expected is not None:
        raise OperatorError(f"{path}: broker.host: expected {expected}, got {lab.broker.host!r}")
    if lab.time_server is not None and (expected := wrong_host(lab.time_server)) is not None:
        raise OperatorError(f"{path}: time_server: expected {expected}, got {lab.time_server!r}")
    if not lab.ethernet and lab.wifi is None:
        raise OperatorError(f"{path}: expected ethernet: true or a section wifi, got neither: no reading would arrive")
    if lab.debs is not None and lab.debs_keyring is None:
        raise OperatorError(
            f"{path}: debs without debs_keyring: name the archive's keyring (on a Pi: "
            "/usr/share/keyrings/raspberrypi-archive-keyring.gpg), by which the packages are checked"
        )
    return lab


def check_keys(values: dict[str, Any], kind: Any, source: str, where: str = "") -> None:
    """Refuse a key that nobody reads, and say which was meant.

    Raises:
        OperatorError: with the key's path and the nearest known one.
    """
    known = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise OperatorError(f"{source}: {where}{key}: no such key; {meant}")
        inner = next((one for one in _types(known[key].type) if _is_struct(one)), None)
        if inner is not None and isinstance(value, dict):
            check_keys(value, inner, source, f"{where}{key}.")


def _types(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__args__", ()) or (kind,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


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
