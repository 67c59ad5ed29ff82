"""The lab's certificate authority: a key and a certificate for each device, made once and kept beside it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.errors import OperatorError

LASTS = timedelta(days=3650)
"""Ten years: a device that lay in a drawer must still be let in; a lost key is revoked at the broker."""
SOON = timedelta(days=180)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts. made: whether they are new. ends_at: the certificate's. serial: in hexadecimal, for a revocation."""

    ca: bytes
    certificate: bytes
    key: bytes
    made: bool
    ends_at: datetime
    serial: str


class Authority:
    """A folder with `ca.pem` and `ca.key`; `devices/NAME.pem` and `devices/NAME.key` are kept there."""

    def __init__(self, folder: Path) -> None:
        """Read the authority's certificate and key.

        Raises:
            OperatorError: one of them is missing, is none, does not fit the other, or has expired.
        """
        self.folder = folder
        how = "docs/installing.md has the two commands that make them; the broker must know the same ca.pem"
        try:
            self._ca_pem = (folder / "ca.pem").read_bytes()
            self._ca = x509.load_pem_x509_certificate(self._ca_pem)
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except OSError as error:
            raise OperatorError(f"authority: {error.filename}: {error.strerror}; {how}") from error
        except (ValueError, TypeError) as error:
            raise OperatorError(f"authority: {folder}: expected PEM files without a password: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or _public(key) != _public_of(self._ca):
            raise OperatorError(f"authority: {folder}/ca.key is not the elliptic-curve key of ca.pem; {how}")
        if self._ca.not_valid_after_utc < datetime.now(UTC) + SOON:
            raise OperatorError(
                f"authority: {folder}/ca.pem is valid until {self._ca.not_valid_after_utc:%Y-%m-%d} only: every "
                "device would stop then; make a new authority first"
            )
        self._key = key

    def credentials_of(self, name: str, *, keep: bool = True, fresh: bool = False) -> Credentials:
        """Return the device's key and certificate; those that were made before, unless they expire soon or do not fit.

        keep: write new ones down (a dry run does not). fresh: make new ones, for a device whose card was lost.

        Raises:
            OperatorError: what is there cannot be read, or the new ones cannot be kept.
        """
        certificate, key = self._paths(name)
        if not fresh and certificate.exists() and key.exists():
            found = self._read(name)
            if found is not None:
                return found
        made = self._make(name)
        if keep:
            _write_new(key, made.key, 0o600)
            _write_new(certificate, made.certificate, 0o644)
        return made

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.folder / "devices" / f"{name}.pem", self.folder / "devices" / f"{name}.key"

    def _read(self, name: str) -> Credentials | None:
        """Return what was made before, None where it has to be made anew."""
        paths = self._paths(name)
        try:
            pem, key_pem = (path.read_bytes() for path in paths)
            certificate = x509.load_pem_x509_certificate(pem)
            key = serialization.load_pem_private_key(key_pem, None)
            certificate.verify_directly_issued_by(self._ca)
        except OSError as error:
            raise OperatorError(f"authority: {error.filename}: {error.strerror}") from error
        except (InvalidSignature, ValueError, TypeError):
            return None  # another authority's, or a torn file
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        fits = [one.value for one in names] == [name] and _public(key) == _public_of(certificate)
        if not fits or certificate.not_valid_after_utc < datetime.now(UTC) + SOON:
            return None
        return _credentials(self._ca_pem, certificate, key_pem, made=False)

    def _make(self, name: str) -> Credentials:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        ends_at = min(now + LASTS, self._ca.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A Pi has no clock: at its first connection it may live in the past of this machine.
            .not_valid_before(max(now - timedelta(days=365), self._ca.not_valid_before_utc))
            .not_valid_after(ends_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return _credentials(self._ca_pem, certificate, pem, made=True)


def _credentials(ca: bytes, certificate: x509.Certificate, key: bytes, *, made: bool) -> Credentials:
    serial = f"{certificate.serial_number:x}"
    return Credentials(ca, certificate.public_bytes(_PEM), key, made, certificate.not_valid_after_utc, serial)


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return b""
    return key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _public_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that never exists half, nor readable for others; the former one is kept under its date."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists():
            os.replace(path, path.with_name(f"{path.name}.until-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
        fresh = path.with_name(f".{path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise OperatorError(f"authority: {path}: cannot be written: {error.strerror}") from error
