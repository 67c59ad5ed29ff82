"""`cageclock-station provision` writes a whole card, mounted or as an image, and refuses what it does not know."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from edge.contract.bundle.bundle import read_bundle
from station.cli import main
from tests.edge.contract.bundle import signers
from tests.station.provision import cards

needs_mtools = pytest.mark.skipif(
    shutil.which("mcopy") is None or shutil.which("mkfs.vfat") is None, reason="mtools and dosfstools make the image"
)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return cards.lab(tmp_path / "lab", extra=cards.WIFI + "time_server: ntp.lab\ninfrared_gpio: 22\n")


def provision(lab: Path, card: Path | str, *options: str, device: str | None = "cage-07") -> int:
    named = ["--device", device] if device else []
    return main(["provision", "--lab", str(lab), "--card", str(card), *named, *options])


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


@needs_mtools
@pytest.mark.parametrize("table", [True, False], ids=["card", "partition"])
def test_an_image_is_written_without_a_mount(lab: Path, tmp_path: Path, table: bool) -> None:
    image = cards.image(tmp_path / "card.img", cards.trixie(), table=table)
    assert provision(lab, image) == 0
    assert 'hostname: "cage-07"' in cards.read_image(image, "user-data", table=table)
    card = json.loads(cards.read_image(image, "cageclock/card.json", table=table))
    for name in card["files"]:
        assert cards.read_image(image, f"cageclock/{name}", table=table)
    mounted = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, mounted)
    assert (mounted / "cmdline.txt").read_text() == cards.read_image(image, "cmdline.txt", table=table)


@needs_mtools
def test_a_full_partition_is_refused_before_anything_is_written(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cards.image(tmp_path / "card.img", cards.trixie(), megabytes=40)
    big = lab.parent / "wheels/msgspec-0.22.0-cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"
    big.write_bytes(b"x" * 36 * 2**20)
    before = image.read_bytes()
    assert provision(lab, image) == 4
    said = capsys.readouterr().err
    assert "nothing was written" in said
    assert "MB are free" in said
    assert image.read_bytes() == before


def _renamed(files: dict[str, str], name: str, content: str | None) -> dict[str, str]:
    changed = dict(files)
    changed.pop(name, None)
    return changed if content is None else {**changed, name: content}


BAD_CARDS = {
    "not the Pi's": (_renamed(cards.trixie(), "issue.txt", None), "without issue.txt"),
    "another system": (
        _renamed(cards.trixie(), "issue.txt", "Ubuntu 24.04\n"),
        "issue.txt that says 'Ubuntu",
    ),
    "Bullseye": (cards.bookworm("2023-05-03"), "older than Bookworm"),
    "32 bit": (_renamed(cards.trixie(), "kernel8.img", None), "no 64-bit kernel"),
    "half of cloud-init": (_renamed(cards.trixie(), "meta-data", None), "got no meta-data"),
    "unknown way": (_renamed(cards.bookworm("2027-03-01"), "cmdline.txt", cards.TRIXIE_LINE), "is not known"),
    "two lines": (_renamed(cards.trixie(), "cmdline.txt", cards.TRIXIE_LINE + "quiet\n"), "expected one line, got 2"),
    "no root": (_renamed(cards.trixie(), "cmdline.txt", "console=tty1\n"), "expected root="),
}


@pytest.mark.parametrize("name", BAD_CARDS)
def test_a_card_that_is_not_known_is_refused_untouched(
    name: str, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, expected = BAD_CARDS[name]
    card = cards.mounted(tmp_path / "boot", files)
    assert provision(lab, card) == 2
    assert expected in capsys.readouterr().err
    assert {path.name: path.read_text() for path in card.iterdir()} == files
    assert not (lab.parent / "authority/devices").exists(), "no key for a card that was refused"


def test_the_first_trixie_needs_wheels_for_both_versions_of_python(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = cards.mounted(tmp_path / "boot", cards.bookworm("2025-10-01"))
    assert provision(lab, card) == 0
    names = {path.name for path in (card / "cageclock/wheels").iterdir()}
    assert any("cp311" in name for name in names)
    assert any("cp313" in name for name in names)
    for path in (lab.parent / "wheels").glob("*cp311*"):
        path.unlink()
    assert provision(lab, card) == 2
    assert "none for Python 3.11 on aarch64" in capsys.readouterr().err


BAD_LABS = {
    "typo": ("statoin: x\n", "statoin: no such key; did you mean 'station'?"),
    "inner typo": (
        "wifi: {sid: x, password_file: wifi-password, country: CH}\n",
        "wifi.sid: no such key; did you mean 'ssid'",
    ),
    "twice": ("station: lab2\n", "'station' is given twice"),
    "lower country": (cards.WIFI.replace("CH", "ch"), "country"),
    "no password": (cards.WIFI.replace("wifi-password", "gone"), "cannot be read"),
    "no way out": ("ethernet: false\n", "no reading would arrive"),
    "bad host": ("time_server: ntp lab\n", "time_server: expected a host's name"),
    "unsigned debs": ("debs: debs\n", "debs without debs_keyring"),
    "trust without channel": ("trust: trust.json\n", "expected trust and channel together"),
    "trust that is none": ("trust: anna.pub\nchannel: study\n", "trust: anna.pub"),
    "bundle without key": ("bundle: some.bundle\n", "bundle without trusted_keys"),
}


@pytest.mark.parametrize("name", BAD_LABS)
def test_a_wrong_key_of_the_lab_is_one_clear_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra, expected = BAD_LABS[name]
    lab = cards.lab(tmp_path / "lab", extra=extra)
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    assert expected in capsys.readouterr().err


def test_secrets_and_keys_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = cards.lab(tmp_path / "lab", extra=cards.WIFI)
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    (lab.parent / "wifi-password").write_text("short\n")
    assert provision(lab, card) == 2
    assert "expected a password of 8-63 plain characters" in capsys.readouterr().err
    (lab.parent / "wifi-password").write_text("long enough\n")
    (lab.parent / "anna.pub").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert provision(lab, card) == 2
    assert "expected a public key, got a PRIVATE one" in capsys.readouterr().err
    (lab.parent / "anna.pub").write_text(cards.PUBLIC_KEY.replace("AAAAC3", "AAAAB3"))
    assert provision(lab, card) == 2
    assert "anna.pub, line 1: expected a public key" in capsys.readouterr().err


def test_a_numpy_that_hides_the_systems_is_refused_where_there_is_a_camera(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.parent / "wheels/numpy-2.2.0-cp313-cp313-manylinux2014_aarch64.whl").write_bytes(b"numpy")
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    assert "would hide the system's numpy" in capsys.readouterr().err


def test_wheels_of_the_workstation_are_refused(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(lab.parent / "wheels")
    cards.wheels(lab.parent / "wheels", "3.13", machine="x86_64")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    assert provision(lab, card) == 2
    assert "there are some for another machine" in capsys.readouterr().err
    assert provision(lab, card, "--architecture", "amd64") == 0


def test_a_bundle_that_the_device_would_refuse_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = cards.lab(tmp_path / "lab", extra="bundle: lab.bundle\ntrusted_keys: [lab.pub]\n")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    data = cards.ROOT / "tests/data"
    shutil.copy(data / "tiny.bundle", lab.parent / "lab.bundle")
    shutil.copy(data / "tiny.pub", lab.parent / "lab.pub")
    assert provision(lab, card) == 0
    assert (card / "cageclock/bundle/lab.bundle").read_bytes() == (data / "tiny.bundle").read_bytes()
    assert "/etc/cageclock/keys/lab.pub" in (card / "cageclock/cageclock.yaml").read_text()
    altered = bytearray((data / "tiny.bundle").read_bytes())
    altered[-2000] ^= 1
    (lab.parent / "lab.bundle").write_bytes(altered)
    assert provision(lab, card) == 3
    assert "the device would refuse it" in capsys.readouterr().err


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


def test_settings_that_the_device_would_refuse_are_refused_here(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.parent / "cage.yaml").write_text("schedule: {interval_ligt_s: 600}\nquality: {min_mean_grey: -1}\n")
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    said = capsys.readouterr().err
    assert "interval_ligt_s" in said
    assert "min_mean_grey" in said


def test_one_wrong_row_of_the_fleet_costs_itself(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cage-1", "cage-2", "cage-4", "cage-5"):
        cards.mounted(tmp_path / name, cards.trixie())
    table = tmp_path / "fleet.csv"
    table.write_text(
        "device;cage;px_per_mm;place\ncage-1;a1;4.0;rack 1\ncage-2;a2;-4.0;\ncage-3;a3;4.0;\nCage 4;a4;4.0;\n"
        "cage-5;a5;4.0;\ncage-5;a6;4.0;\n"
    )
    code = provision(
        lab, tmp_path / "{device}", "--fleet", str(table), "--labels", str(tmp_path / "l.pdf"), device=None
    )
    said = capsys.readouterr()
    assert code == 2
    assert (tmp_path / "cage-1/cageclock/card.json").exists()
    assert not (tmp_path / "cage-2/cageclock").exists()
    assert "cage-2: its settings would be refused" in said.err.replace("cage-2: cage-2", "cage-2")
    assert "cage-3: there is no such folder" in said.err.replace(f"--card {tmp_path}/", "")
    assert "line 5: device: expected a name" in said.err
    assert "lines 6, 7: device 'cage-5' stands there more than once" in said.err
    assert "1 of 5 devices; 4 passed over" in said.out
    assert (tmp_path / "l.pdf").read_bytes().startswith(b"%PDF")


def test_a_table_for_one_mount_needs_a_device(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    table = tmp_path / "fleet.csv"
    table.write_text("device,cage\ncage-1,a1\ncage-2,a2\n")
    assert provision(lab, card, "--fleet", str(table), device=None) == 2
    assert "expected {device} in it" in capsys.readouterr().err
    assert provision(lab, card, "--fleet", str(table), device="cage-9") == 2
    assert "no device 'cage-9'; there are cage-1, cage-2" in capsys.readouterr().err


def test_the_wrong_place_for_a_card_is_said(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "media").mkdir()
    cards.mounted(tmp_path / "media/bootfs", cards.trixie())
    assert provision(lab, tmp_path / "media") == 2
    assert f"did you mean {tmp_path / 'media/bootfs'}?" in capsys.readouterr().err
    assert provision(lab, tmp_path / "none") == 2
    assert "is the card in, and mounted?" in capsys.readouterr().err
    (tmp_path / "card.img.xz").write_bytes(b"\xfd7zXZ\x00" + bytes(1000))
    assert provision(lab, tmp_path / "card.img.xz") == 2
    assert "unpack it first" in capsys.readouterr().err or shutil.which("mcopy") is None


def test_a_key_of_user_data_that_cloud_init_passes_over_is_refused() -> None:
    """`cloud-init schema` finds `hostnme:` valid."""
    from edge.errors import OperatorError
    from station.provision.templates import check_user_data

    with pytest.raises(OperatorError, match="hostnme: cloud-init knows no such key; did you mean 'hostname'"):
        check_user_data("#cloud-config\nhostnme: cage-07\n", "user-data")
    with pytest.raises(OperatorError, match="lock_passwrd"):
        check_user_data("#cloud-config\nusers:\n- {name: a, lock_passwrd: true}\n", "user-data")
    with pytest.raises(OperatorError, match="#cloud-config"):
        check_user_data("# cloud-config\nhostname: a\n", "user-data")


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
