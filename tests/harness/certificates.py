"""A lab's own certificate authority, for tests of TLS with a real broker."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_NO_ENCRYPTION = serialization.NoEncryption()


class Authority:
    """Makes `ca.pem`, and per name `<name>.pem` with `<name>.key`, in one folder."""

    def __init__(self, folder: Path, *, key_usage: bool = True, ends_at: datetime | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab authority")])
        own = self._builder(self._name, self._key, ends_at).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        if key_usage:  # some clients refuse an authority without it
            own = own.add_extension(_SIGNS, True)
        self.ca = folder / "ca.pem"
        self._write(self.ca, own.sign(self._key, hashes.SHA256()))

    def issue(self, name: str, address: str | None = None, ends_at: datetime | None = None) -> tuple[str, str]:
        """Return the paths of certificate and key of a client, or of a server where an address is given."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, ends_at)
        if address is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
            )
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._write(certificate, builder.sign(self._key, hashes.SHA256()))
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _NO_ENCRYPTION)
        )
        return str(certificate), str(key_file)

    def keep_key(self) -> Path:
        """Write the authority's own key as `ca.key`, for a program that signs with it, and return its path."""
        path = self.folder / "ca.key"
        path.write_bytes(
            self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _NO_ENCRYPTION)
        )
        return path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ends_at: datetime | None = None
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(ends_at or now + timedelta(days=2))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
