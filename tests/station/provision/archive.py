"""An archive of Debian packages of the tests' own: lists, signed as apt's archives are, and the keys for it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


def make_key(home: Path, name: str) -> Path:
    """Make a signing key in a gpg home, and return its keyring, `NAME.gpg`."""
    home.mkdir(exist_ok=True)
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch"]
    command = [*gpg, "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign"]
    subprocess.run(command, check=True, capture_output=True)
    keyring = home / f"{name}.gpg"
    keyring.write_bytes(subprocess.run([*gpg, "--export", name], check=True, capture_output=True).stdout)
    end_agent(home)
    return keyring


def make_deb(folder: Path, name: str, *needs: str) -> Path:
    """Build an empty package that depends on others."""
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    depends = f"Depends: {', '.join(needs)}\n" if needs else ""
    text = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: lab <lab@example.org>\n"
    (tree / "DEBIAN/control").write_text(f"{text}{depends}Description: {name}\n")
    path = folder / f"{name}_1.0_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(path)], check=True, capture_output=True)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sign(home: Path, name: str, release: Path, out: Path) -> None:
    """Sign a Release as an archive does: inline."""
    gpg = ["gpg", "--homedir", str(home), "--batch", "--yes", "-u", name]
    subprocess.run([*gpg, "--clearsign", "-o", str(out), str(release)], check=True, capture_output=True)
    end_agent(home)


def end_agent(home: Path) -> None:
    """End the agent that gpg left behind."""
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True, capture_output=True)


def write_lists(folder: Path, home: Path, name: str) -> None:
    """Packages and InRelease of an archive that holds the folder's packages."""
    text = "".join(f"Package: {path.stem}\nSHA256: {digest(path)}\n\n" for path in sorted(folder.glob("*.deb")))
    packages = folder / "lab_main_binary-arm64_Packages"
    packages.write_text(text)
    release = home / "Release"
    release.write_text(f"Origin: lab\nSHA256:\n {digest(packages)} {len(text)} main/binary-arm64/Packages\n")
    sign(home, name, release, folder / "lab_InRelease")
