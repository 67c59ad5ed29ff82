"""The templates of `firmware_config/`, filled in; each line there has its why."""

from __future__ import annotations

import difflib
import json
import string
import sys
from pathlib import Path
from typing import Any

import yaml

from edge.errors import OperatorError
from station.provision.lab import Lab


class _Template(string.Template):
    """Placeholders are `@{name}`: `$` is the shell's."""

    delimiter = "@"


def folder() -> Path:
    """Return the folder of templates: the source tree's, else the wheel's share.

    Raises:
        OperatorError: neither is there.
    """
    for place in (Path(__file__).parents[2], Path(sys.prefix) / "share/cageclock"):
        if (place / "firmware_config/first_boot.py").is_file():
            return place / "firmware_config"
    raise OperatorError("the templates did not come with the program; install it again")


def text(name: str) -> str:
    """Return a file of the folder as it is."""
    return (folder() / name).read_text(encoding="utf-8")


def filled(name: str, **values: str) -> str:
    """Return a template with every placeholder replaced; one that is unknown or left over is a fault of ours."""
    return _Template(text(name)).substitute(values)


def user_data(lab: Lab, device: str, keys: list[str]) -> str:
    """Return cloud-init's user-data, its keys checked.

    Raises:
        OperatorError: a key that cloud-init does not know.
    """
    found = filled("user-data.yaml", device=json.dumps(device), user=json.dumps(lab.ssh.user), keys=json.dumps(keys))
    check_user_data(found, "user-data")
    return found


def network_config(lab: Lab, psk: str | None) -> str:
    """Return cloud-init's network-config: cable, Wi-Fi or both, by DHCP."""
    wired = {"eth0": {"dhcp4": True, "optional": True}} if lab.ethernet else {}
    radio: dict[str, Any] = {}
    if lab.wifi is not None and psk is not None:
        point: dict[str, Any] = {"password": psk, **({"hidden": True} if lab.wifi.hidden else {})}
        radio = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": lab.wifi.country,
                "access-points": {lab.wifi.ssid: point},
            }
        }
    return filled("network-config.yaml", ethernets=json.dumps(wired), wifis=json.dumps(radio))


def meta_data(instance: str) -> str:
    """Return cloud-init's meta-data."""
    return filled("meta-data.yaml", instance=instance)


def first_run(lab: Lab, device: str, keys: list[str], psk: str | None) -> str:
    """Return firstrun.sh of an image without cloud-init."""
    wifi = ""
    if lab.wifi is not None and psk is not None:
        # As a list of bytes, NetworkManager's other form: no name of a network can be read as anything else.
        ssid = "".join(f"{byte};" for byte in lab.wifi.ssid.encode())
        wifi = filled("wifi-connection.sh", ssid=ssid, hidden=str(lab.wifi.hidden).lower(), psk=psk)
    return filled("firstrun.sh", device=device, user=lab.ssh.user, keys="\n".join(keys), wifi=wifi)


def config_lines(lab: Lab) -> list[str]:
    """Return the lines for config.txt that this lab's devices need, without their comments."""
    found = []
    for line in text("config.txt").splitlines():
        bare = line.removeprefix("#")
        if not bare.strip() or bare.startswith(" "):
            continue
        if bare.startswith("dtoverlay=imx"):
            bare = f"dtoverlay={lab.camera.removesuffix('_noir')}"
        if bare.startswith("gpio=") and lab.infrared_gpio is not None:
            bare = f"gpio={lab.infrared_gpio}=op,dh"
        wanted = {
            "camera_auto_detect": lab.camera != "none",
            "dtoverlay=imx": lab.camera != "none",
            "dtoverlay=disable-wifi": lab.wifi is None,
            "dtparam=act_led": lab.leds == "off",
            "dtparam=pwr_led": lab.leds == "off",
            "dtparam=eth_led": lab.leds == "off",
            "gpio=": lab.infrared_gpio is not None,
        }
        if all(on for start, on in wanted.items() if bare.startswith(start)):
            found.append(bare)
    return found


def parameters(lab: Lab) -> list[str]:
    """Return the parameters for cmdline.txt that every generation has."""
    country = [f"cfg80211.ieee80211_regdom={lab.wifi.country}"] if lab.wifi is not None else []
    return [*text("cmdline.txt").split(), *country]


_KEYS = {
    *("hostname", "fqdn", "manage_etc_hosts", "preserve_hostname", "users", "groups", "ssh_pwauth", "disable_root"),
    *("timezone", "locale", "keyboard", "runcmd", "bootcmd", "write_files", "packages", "package_update"),
    *("package_upgrade", "apt", "ntp", "ssh_authorized_keys", "ssh_deletekeys", "ssh_genkeytypes", "growpart", "rpi"),
    *("enable_ssh", "power_state", "final_message", "merge_how"),
}
_USER_KEYS = {
    *("name", "groups", "shell", "lock_passwd", "sudo", "ssh_authorized_keys", "passwd", "gecos", "primary_group"),
}


def check_user_data(content: str, source: str) -> None:
    """Refuse a key of user-data that cloud-init passes over in silence: `cloud-init schema` finds `hostnme` valid.

    Raises:
        OperatorError: with the key and the nearest known one.
    """
    if not content.startswith("#cloud-config\n"):
        raise OperatorError(f"{source}: expected #cloud-config as its first line; without it cloud-init reads nothing")
    found = yaml.safe_load(content)
    sections = [(key, _KEYS) for key in found] + [
        (key, _USER_KEYS) for user in found.get("users", []) if isinstance(user, dict) for key in user
    ]
    for key, known in sections:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise OperatorError(f"{source}: {key}: cloud-init knows no such key{meant}")
