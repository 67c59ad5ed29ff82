"""A provisioned card is booted: in a copy of this machine without a network, once by each way of customising."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.version import VERSION
from station.cli import main
from station.provision.command import open_card
from tests.station.provision import cards
from tests.station.provision.archive import make_deb, make_key, write_lists

HERE = Path(__file__).parent
NEEDED = (
    *("gpg", "gpgv", "gpgconf", "dpkg-deb", "dpkg", "apt-mark", "systemctl", "systemd-sysusers", "useradd"),
    *("unshare", "chroot", "ip"),
)


def missing() -> str:
    """Why no card can be booted here, "" where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent or not Path("/usr/bin/python3").exists():
        return f"needs Debian with systemd; no {', '.join(absent) or '/usr/bin/python3'}"
    probe = "import sys; print('%d.%d' % sys.version_info[:2]); import ensurepip, venv"
    done = subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, text=True)
    if done.returncode != 0 or done.stdout.strip() != "3.11":
        return "needs Bookworm with python3-venv (apt-get install python3-venv)"
    command = "mount --make-rprivate / && mount -t tmpfs t /mnt && mkdir /mnt/a /mnt/b /mnt/c && "
    command += "mount -t overlay o -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c"
    done = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", command], capture_output=True, text=True)
    return f"no namespaces or overlays here: {done.stderr.strip()}" if done.returncode != 0 else ""


REASON = missing()
needs_boot = pytest.mark.skipif(bool(REASON), reason=REASON)
pytestmark = [pytest.mark.slow, needs_boot]


@pytest.fixture(scope="module")
def wheels() -> Path:
    """What this machine's own Python needs of the program, fetched once: pip's cache keeps it."""
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / f"cageclock-wheels-{architecture}-3.11"
    options = ["--python", "3.11", "--architecture", architecture, "--numpy"]
    if main(["wheels", str(folder), *options]) != 0:
        pytest.skip("no wheels to be had: this machine reaches no index")
    return folder


def boot(card: Path, work: Path, *command: str) -> str:
    """Run a command in a machine with that boot partition, and return what it printed."""
    work.mkdir()
    done = subprocess.run(
        [str(HERE / "boot.sh"), str(card), str(work), *command], capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def steps(card: Path) -> dict[str, str]:
    """The steps of first-boot.txt."""
    text = (card / "first-boot.txt").read_bytes().decode().replace("\r\n", "\n")
    return dict(re.findall(r"^  ([a-z ]+): (.*)$", text, re.MULTILINE))


def test_a_card_without_cloud_init_becomes_a_device_without_any_network(tmp_path: Path, wheels: Path) -> None:
    """The script of the first run, then the unit: program from the card's wheels, units, settings, keys, check."""
    debs = tmp_path / "debs"
    debs.mkdir()
    for name, needs in (("cageclock-one", ()), ("cageclock-two", ("cageclock-one",))):
        make_deb(debs, name, *needs)
    keyring = make_key(tmp_path / "gpg", "archive")
    write_lists(debs, tmp_path / "gpg", "archive")
    extra = f"time_server: ntp.lab\ndebs: {debs}\ndebs_keyring: {keyring}\n"
    lab = cards.lab(tmp_path / "lab", extra=cards.WIFI + extra, camera="none")
    (lab.parent / "cage.yaml").write_text("camera: {backend: simulated, width: 640, height: 480, px_per_mm: 2.667}\n")
    shutil.rmtree(lab.parent / "wheels")
    (lab.parent / "wheels").symlink_to(wheels)
    card = cards.mounted(tmp_path / "boot", cards.bookworm())
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
    options = ["--device", "cage-07", "--card", str(card), "--architecture", architecture]
    assert main(["provision", "--lab", str(lab), *options]) == 0
    script = tmp_path / "boot/test.sh"
    script.write_text(
        "set -e\nrm -rf /var/lib/apt/lists/*\n"
        "sh -c 'bash /boot/firmware/firstrun.sh'\ntest ! -e /boot/firmware/firstrun.sh\n"
        "systemctl is-enabled cageclock-first-boot.service\n"
        "$(sed -n 's/^ExecStart=//p' /etc/systemd/system/cageclock-first-boot.service)\n"
        "systemctl is-enabled cageclock-capture cageclock-publish cageclock-fetch\n"
        "systemctl is-enabled cageclock-bundle.path cageclock-card.path\n"
        "dpkg-query -W cageclock-one cageclock-two\n"
        "echo name $(cat /etc/hostname)\nstat -c '%n %a %U' /etc/cageclock/*\n"
        "echo ssh $(cat /home/anna/.ssh/authorized_keys)\n"
        "echo wifi $(stat -c %a /etc/NetworkManager/system-connections/cageclock.nmconnection)\n"
        "echo numpy $(/opt/cageclock/bin/python -c 'import numpy; print(numpy.__file__)')\n"
        "cat /etc/systemd/timesyncd.conf.d/cageclock.conf\n"
        "cd /tmp; /opt/cageclock/bin/cageclock capture --config /etc/cageclock/cageclock.yaml --help >/dev/null\n"
    )
    said = boot(card, tmp_path / "work", "bash", "/boot/firmware/test.sh")
    done = steps(card)
    assert "result: OK" in (card / "first-boot.txt").read_text(), (card / "first-boot.txt").read_text()
    assert done["packages"] == "2 from the card, all that are needed are there"
    assert done["program"] == f"cageclock {VERSION}"
    assert "ok (device cage-07" in done["check"]
    assert said.count("enabled\n") == 6
    assert "name cage-07\n" in said
    assert "/etc/cageclock/device.key 600 root\n" in said
    assert f"ssh {cards.PUBLIC_KEY}" in said
    assert "wifi 600\n" in said
    assert "NTP=ntp.lab\n" in said
    assert not (card / "cageclock/device.key").exists(), "any laptop reads the boot partition"
    line = (card / "cmdline.txt").read_text()
    assert "systemd.run" not in line, "the next boot is an ordinary one"
    assert "root=PARTUUID=9710ec8c-02" in line


@pytest.mark.skipif(
    shutil.which("cloud-init") is None, reason="cloud-init is not installed (apt-get install cloud-init)"
)
def test_cloud_inits_own_stages_take_the_card_and_a_wrong_system_is_said_on_it(tmp_path: Path) -> None:
    """All four stages; then the unit finds a machine that the card's wheels are not for, and says so on the card."""
    lab = cards.lab(tmp_path / "lab", extra=cards.WIFI)
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    assert main(["provision", "--lab", str(lab), "--device", "cage-07", "--card", str(card)]) == 0
    (card / "test.sh").write_text(
        # As pi-gen's 99_raspberry-pi.cfg; this version of cloud-init wants the slash at the end.
        'printf \'datasource_list: [ NoCloud, None ]\\ndatasource: {NoCloud: {seedfrom: "file:///boot/firmware/"}}\\n'
        "ssh_deletekeys: false\\nssh_genkeytypes: []\\nlocale: false\\n' > /etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg\n"
        'export DEBUG_PROC_CMDLINE="$(cat /boot/firmware/cmdline.txt)"\n'
        "cloud-init init --local; cloud-init init; cloud-init modules --mode=config; cloud-init modules --mode=final\n"
        "echo instance $(cat /var/lib/cloud/data/instance-id)\necho name $(cat /etc/hostname)\n"
        "echo ssh $(cat /home/anna/.ssh/authorized_keys)\necho password $(getent shadow anna | cut -d: -f2)\n"
        "systemctl is-enabled cageclock-first-boot.service\n"
        "/usr/bin/python3 /usr/local/lib/cageclock/first_boot.py run; echo code $?\n"
    )
    said = boot(card, tmp_path / "work", "bash", "/boot/firmware/test.sh")
    manifest = json.loads((card / "cageclock/card.json").read_text())
    assert f"instance {manifest['instance']}\n" in said
    assert "name cage-07\n" in said
    assert f"ssh {cards.PUBLIC_KEY}" in said
    assert "password !\n" in said
    assert "enabled\n" in said
    assert "code 2\n" in said
    text = (card / "first-boot.txt").read_text()
    assert "result: FAILED" in text
    assert "the card's wheels are" in text
    assert "advice: " in text


def test_what_another_device_had_not_sent_is_kept_aside_under_its_own_name(tmp_path: Path) -> None:
    """A spare card takes over a name: readings of the device before must not go out under it."""
    lab = cards.lab(tmp_path / "lab")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    assert main(["provision", "--lab", str(lab), "--device", "cage-07", "--card", str(card)]) == 0
    (card / "test.sh").write_text(
        "cd /boot/firmware/cageclock\nmkdir -p /var/lib/cageclock/capture\n"
        "step() { /usr/bin/python3 -B -c 'import first_boot as b; w = b.FirstBoot({}); b.check_card(w); "
        "print(b.keep_older_state(w))'; }\n"
        "echo rows > /var/lib/cageclock/capture/outbox.db\n"
        "echo cage-07 > /var/lib/cageclock/device; echo same $(step)\n"
        "echo cage-01 > /var/lib/cageclock/device; echo other $(step)\n"
        "cat /var/lib/cageclock.cage-01.*/capture/outbox.db; test -e /var/lib/cageclock || echo gone\n"
    )
    said = boot(card, tmp_path / "work", "bash", "/boot/firmware/test.sh").splitlines()
    assert said[0] == "same nothing of another device"
    assert said[1].startswith("other this card was cage-01 before: what it had not sent is kept in /var/lib/cageclock.")
    assert said[2:] == ["rows", "gone"]


def test_a_card_that_was_pulled_out_early_is_named_file_by_file(tmp_path: Path) -> None:
    lab = cards.lab(tmp_path / "lab")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    assert main(["provision", "--lab", str(lab), "--device", "cage-07", "--card", str(card)]) == 0
    (card / "cageclock/cageclock.yaml").write_text("device_id: cage-07\n")
    (card / "cageclock/ca.pem").unlink()
    done = "/usr/bin/python3 /boot/firmware/cageclock/first_boot.py begin; echo code $?"
    assert "code 2\n" in boot(card, tmp_path / "work", "bash", "-c", done)
    text = (card / "first-boot.txt").read_text()
    assert "2 files are wrong: " in text
    assert "ca.pem is missing" in text
    assert "cageclock.yaml is not what was written" in text
    assert "provision the card again" in text
    assert open_card(str(card)).read("first-boot.txt") is not None
