"""A folder of Debian packages, believed only as far as the archive's own signature reaches.

The archive signs its InRelease, which holds the digest of each Packages list, which holds the digest of each package:
apt's own chain (apt-secure(8)). A package alone has no signature.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from edge.errors import OperatorError

_HEAD = "-----BEGIN PGP SIGNED MESSAGE-----"


def read_debs(folder: Path, keyring: Path) -> list[Path]:
    """Return the folder's packages, each of which a signed list names by its digest.

    Raises:
        OperatorError: no packages, no list, a wrong signature, or a package that no signed list names.
    """
    how = "docs/provision.md says how the folder is made on a Pi"
    if not folder.is_dir():
        raise OperatorError(f"debs: {folder}: expected a folder, got none; {how}")
    packages = sorted(folder.glob("*.deb"))
    releases = [path for path in sorted(folder.iterdir()) if path.name.endswith("InRelease")]
    lists = [path for path in sorted(folder.iterdir()) if path.name.endswith("Packages")]
    if not packages or not releases or not lists:
        raise OperatorError(
            f"debs: {folder}: expected packages (.deb) with the archive's InRelease and Packages files, got "
            f"{len(packages)}, {len(releases)} and {len(lists)}; {how}"
        )
    signed = set().union(*(_signed_digests(path, keyring) for path in releases))
    known = set()
    for path in lists:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() not in signed:
            raise OperatorError(f"debs: {path.name} is not the list that the archive signed; fetch both anew ({how})")
        known |= set(re.findall(r"^SHA256: ([0-9a-f]{64})$", content.decode("utf-8", "replace"), re.MULTILINE))
    strange = [path.name for path in packages if hashlib.sha256(path.read_bytes()).hexdigest() not in known]
    if strange:
        raise OperatorError(
            f"debs: no signed list names {', '.join(strange[:5])}: altered, or of another time; fetch them anew"
        )
    return packages


def _signed_digests(path: Path, keyring: Path) -> set[str]:
    """Return the SHA-256 digests in an InRelease whose signature holds; only what was signed is read."""
    if not keyring.is_file():
        raise OperatorError(f"debs_keyring: {keyring}: expected the archive's keyring, got no file")
    if shutil.which("gpgv") is None:
        raise OperatorError("debs: their signature is checked by gpgv, which is not installed (apt-get install gpgv)")
    if not path.read_text(encoding="utf-8", errors="replace").startswith(_HEAD):
        raise OperatorError(f"debs: {path.name}: expected a signed InRelease, got something else")
    command = ["gpgv", "--keyring", str(keyring.resolve()), "--output", "-", str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise OperatorError(
            f"debs: {path.name}: no key of {keyring.name} signed it ({said[-1] if said else 'gpgv failed'})"
        )
    text = done.stdout.decode("utf-8", "replace")
    section = text.partition("SHA256:")[2]
    return set(re.findall(r"^ ([0-9a-f]{64}) ", section, re.MULTILINE))
