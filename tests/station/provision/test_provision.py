"""`cageclock-station provision` writes a whole card, mounted or as an image, and refuses what it does not know."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from edge.contract.bundle.bundle import read_bundle
from tests.edge.contract.bundle import signers
from tests.station.provision import cards
from tests.station.provision.cards import provision


def test_a_card_with_cloud_init_gets_all_three_files_and_one_instance(lab: Path, tmp_path: Path) -> None:
    """The kernel's command line wins over meta-data, so both name the same instance, and Imager's is gone."""
    files = cards.trixie()
    files["cmdline.txt"] = files["cmdline.txt"].rstrip("\n") + cards.IMAGER
    card = cards.mounted(tmp_path / "boot", files)
    assert provision(lab, card) == 0
    user = yaml.safe_load((card / "user-data").read_text())
    assert (card / "user-data").read_text().startswith("#cloud-config\n")
    assert (user["hostname"], user["ssh_pwauth"]) == ("cage-07", False)
    assert user["users"][0]["name"] == "anna"
    assert user["users"][0]["ssh_authorized_keys"] == [cards.PUBLIC_KEY.strip()]
    meta = yaml.safe_load((card / "meta-data").read_text())
    line = (card / "cmdline.txt").read_text()
    assert line.count("\n") == 1
    assert [word for word in line.split() if "nocloud" in word] == [f"ds=nocloud;i={meta['instance_id']}"]
    assert [word for word in line.split() if "regdom" in word] == ["cfg80211.ieee80211_regdom=CH"]
    assert "root=PARTUUID=9710ec8c-02" in line
    assert "resize" in line.split()
    points = yaml.safe_load((card / "network-config").read_text())["network"]["wifis"]["wlan0"]["access-points"]
    assert list(points) == ["NO"], "a network of this name is text, never a truth value"
    assert "NO sugar 0123" not in "".join(path.read_text() for path in card.iterdir() if path.is_file())
    assert not (card / "firstrun.sh").exists()


def test_the_wifis_key_is_that_of_the_standard(tmp_path: Path) -> None:
    """IEEE 802.11i (2004), annex H.4.1: `password` in the network `IEEE`."""
    from station.provision.lab import Wifi, wifi_key

    (tmp_path / "password").write_text("password\n")
    key = wifi_key(Wifi(ssid="IEEE", password_file="password", country="CH"), tmp_path)
    assert key == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"


def test_a_card_without_cloud_init_gets_a_script_that_runs_once(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.bookworm())
    assert provision(lab, card) == 0
    words = (card / "cmdline.txt").read_text().split()
    assert "systemd.run=/boot/firmware/firstrun.sh" in words
    assert "systemd.unit=kernel-command-line.target" in words
    assert "init=/usr/lib/raspberrypi-sys-mods/firstboot" in words, "the image's own first boot enlarges the card"
    script = (card / "firstrun.sh").read_text()
    assert "ssid=78;79;\n" in script
    assert not (card / "user-data").exists()


def test_config_txt_keeps_its_lines_and_gets_one_block(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, card)
    provision(lab, card, device="cage-08")
    text = (card / "config.txt").read_text()
    assert text.startswith(cards.CONFIG)
    assert text.count("dtoverlay=imx708") == 1
    block = text.partition(cards.CONFIG)[2].split()
    assert "[all]" in block, "the filter before it would make the lines count for one board only"
    assert "gpio=22=op,dh" in block
    assert "dtparam=act_led_trigger=none" in block
    assert "dtoverlay=disable-wifi" not in block


def test_the_settings_are_the_labs_with_the_devices_own(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    table = tmp_path / "fleet.csv"
    table.write_text("device,cage,subject,px_per_mm,lights_on\ncage-07,b12,M-0012,4.06,19:30\n")
    assert provision(lab, card, "--fleet", str(table)) == 0
    text = (card / "cageclock/cageclock.yaml").read_text()
    assert "lights_on: 19:30\n" in text
    from edge.config.load import load_config

    config = load_config(card / "cageclock/cageclock.yaml")
    assert (config.device_id, config.cage.id, config.cage.subject) == ("cage-07", "b12", "M-0012")
    assert config.camera.px_per_mm == 4.06
    assert config.light_cycle.zone == "+01:00"
    assert config.mqtt.tls is not None
    assert config.mqtt.tls.key == "credential:device.key"


def test_a_second_run_changes_nothing_and_another_device_everything_that_names_it(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, card)
    first = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert provision(lab, card) == 0
    assert "as it should be already" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in card.rglob("*") if path.is_file()} == first
    instance = yaml.safe_load((card / "meta-data").read_text())["instance_id"]
    assert provision(lab, card, device="cage-08") == 0
    assert yaml.safe_load((card / "meta-data").read_text())["instance_id"] != instance
    assert (card / "cageclock/device.key").read_bytes() != first[card / "cageclock/device.key"]


def test_a_card_that_has_booted_keeps_its_report_and_gets_no_key_again(lab: Path, tmp_path: Path) -> None:
    for name, files in (("trixie", cards.trixie()), ("bookworm", cards.bookworm())):
        card = cards.mounted(tmp_path / name, files)
        provision(lab, card)
        instance = json.loads((card / "cageclock/card.json").read_text())["instance"]
        (card / "cageclock/device.key").unlink()
        (card / "first-boot.txt").write_text(f"result: OK\r\ncard: {instance}\r\n")
        if name == "bookworm":
            (card / "firstrun.sh").unlink()
        assert provision(lab, card) == 0
        assert "result: OK" in (card / "first-boot.txt").read_text()
        assert not (card / "cageclock/device.key").exists()
        assert not (card / "firstrun.sh").exists()


def test_a_card_with_other_content_starts_its_report_anew(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, card)
    first = json.loads((card / "cageclock/card.json").read_text())["instance"]
    (card / "first-boot.txt").write_text(f"result: OK\r\ncard: {first}\r\n")
    (lab.parent / "cage.yaml").write_text("schedule: {interval_light_s: 1200}\n")
    (card / "cageclock/wheels/old-1.0-py3-none-any.whl").write_text("stale")
    provision(lab, card)
    assert "NOT STARTED" in (card / "first-boot.txt").read_text()
    second = json.loads((card / "cageclock/card.json").read_text())["instance"]
    assert second != first, "cloud-init works once for each instance"
    assert second in (card / "cmdline.txt").read_text()
    assert not (card / "cageclock/wheels/old-1.0-py3-none-any.whl").exists()


def test_a_dry_run_writes_nothing_and_makes_no_key(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    before = {path: path.read_bytes() for path in card.rglob("*")}
    assert provision(lab, card, "--dry-run") == 0
    assert {path: path.read_bytes() for path in card.rglob("*")} == before
    assert not (lab.parent / "authority/devices").exists()
    assert "nothing was written" in capsys.readouterr().out


def test_what_somebody_else_wrote_into_cloud_inits_files_is_kept_once(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    theirs = (card / "user-data").read_text()
    provision(lab, card)
    provision(lab, card, device="cage-08")
    assert (card / "cageclock/before/user-data").read_text() == theirs


def test_a_lost_cards_key_is_replaced_on_request_only(lab: Path, tmp_path: Path) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, card)
    first = (card / "cageclock/device.pem").read_bytes()
    provision(lab, card, "--new-key")
    assert (card / "cageclock/device.pem").read_bytes() != first
    kept = lab.parent / "authority/devices"
    assert (kept / "cage-07.key").stat().st_mode & 0o777 == 0o600
    assert any(path.name.startswith("cage-07.pem.until-") for path in kept.iterdir()), "for its revocation"


@pytest.mark.skipif(sys.platform != "linux", reason="bash is looked for on Linux")
def test_the_script_of_the_first_run_is_sound_shell(lab: Path, tmp_path: Path) -> None:
    import subprocess

    card = cards.mounted(tmp_path / "boot", cards.bookworm())
    provision(lab, card)
    done = subprocess.run(["bash", "-n", str(card / "firstrun.sh")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "@{" not in (card / "firstrun.sh").read_text()


def test_the_example_of_a_lab_is_right_with_and_without_its_optional_keys(tmp_path: Path) -> None:
    from station.provision.lab import load_lab

    text = (cards.ROOT / "firmware_config/lab.yaml").read_text()
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    assert load_lab(path).camera == "imx708_noir"
    path.write_text(re.sub(r"^# (\w+: )", r"\1", text, flags=re.MULTILINE))
    whole = load_lab(path)
    assert whole.wifi is not None
    assert (whole.wifi.country, whole.infrared_gpio, whole.leds) == ("CH", 17, "off")
    assert whole.trusted_keys == ("lab.pub",)


def test_a_fleet_gets_the_labs_trust_statements_and_its_channel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = cards.lab(tmp_path / "lab", extra="bundle: lab.bundle\ntrust: trust.json\nchannel: study\n")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    data = cards.ROOT / "tests/data"
    tiny = read_bundle(data / "tiny.bundle", [(data / "tiny.pub").read_bytes()])
    (lab.parent / "trust.json").write_bytes(signers.chain())
    (lab.parent / "lab.bundle").write_bytes(signers.bundle_of(tiny, "dora", "emil"))
    assert provision(lab, card) == 0, capsys.readouterr().err
    assert (card / "cageclock/keys/trust.json").read_bytes() == signers.chain()
    settings = yaml.safe_load((card / "cageclock/cageclock.yaml").read_text())
    assert settings["bundle"] == {"trust": "/etc/cageclock/keys/trust.json", "channel": "study"}
    (lab.parent / "lab.bundle").write_bytes(signers.bundle_of(tiny, "dora"))
    assert provision(lab, card) == 3
    assert "threshold:" in capsys.readouterr().err
    lab.write_text(lab.read_text().replace("channel: study", "channel: attic"))
    assert provision(lab, card) == 2
    assert "attic" in capsys.readouterr().err
