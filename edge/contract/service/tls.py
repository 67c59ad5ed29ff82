"""How a client of ours checks a broker's certificate: the same under every Python."""

from __future__ import annotations

import errno
import os
import ssl

from edge.contract.service.credential import secret_path
from edge.contract.unreachable import Keys, is_passing
from edge.errors import NetworkError, OperatorError


def context_of_settings(ca: str | None, certificate: str | None, key: str | None, keys: Keys) -> ssl.SSLContext:
    """Return the context of the files that a program's settings name; see `client_context`.

    key: a file, or `credential:NAME`. keys: how the program's settings are called, for what an error says.

    Raises:
        NetworkError: a file cannot be read at the moment.
        OperatorError: a file is missing, may not be read, or is not what it should be; it is named.
    """
    key_file = None if key is None else str(secret_path(key, keys.key))
    try:
        return client_context(ca, certificate, key_file)
    except OSError as error:
        named = {ca: keys.ca, certificate: keys.certificate, key_file: keys.key}
        setting = keys.ca if error.filename is None else named.get(error.filename, keys.ca)
        text = f"{setting}: {error.filename or ca or 'the authorities of this system'}: {error.strerror or error}"
        if is_passing(error):
            raise NetworkError(text) from error
        raise OperatorError(f"{text}; correct the path, the file or its rights") from error


def client_context(ca: str | None, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """Return a context that checks name and chain, with the client's own certificate where one is given.

    ca: PEM file of the authorities to trust; None means the system's.

    Python 3.13 began to refuse, by default, a lab authority without the key usage extension, and to take a certificate
    in `ca` that is no authority: a device that connects today must not stop with its next system. What is checked is
    stated here instead (RFC 5280's path validation as OpenSSL does it by itself).

    Raises:
        OSError: a file cannot be read; `filename` and `errno` say which and why. What was read and is no certificate or
            key, or the key of another certificate, has the number EINVAL.
    """
    for path in (ca, certificate, key):
        if path is not None:
            # OpenSSL reads the files by itself, and its errors do not say which one it was.
            _read_a_little(path)
    context = _with_authorities(ca)
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            raise _unusable(certificate, key, error) from error
    return context


def _read_a_little(path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from error


def _with_authorities(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        if ca is None:
            raise
        raise OSError(errno.EINVAL, "expected certificates of authorities (PEM)", ca) from error


def _unusable(certificate: str, key: str | None, error: Exception) -> OSError:
    """Return which of the two files is not what it should be."""
    reason = getattr(error, "reason", None) or str(error)
    if "MISMATCH" in reason:
        return OSError(errno.EINVAL, f"it is not the key of {certificate}", key or certificate)
    if "passphrase" in reason:
        return OSError(errno.EINVAL, "the key has a passphrase, which nobody could type here", key or certificate)
    for path, mark in ((certificate, b"CERTIFICATE-----"), (key or certificate, b"PRIVATE KEY-----")):
        with open(path, "rb") as file:
            if mark not in file.read(1 << 20):
                what = "a certificate" if mark.startswith(b"CERT") else "a private key"
                return OSError(errno.EINVAL, f"expected {what} (PEM)", path)
    return OSError(errno.EINVAL, f"certificate or key cannot be used ({reason})", os.fspath(certificate))


def _no_passphrase() -> str:
    """Refuse at once: without this OpenSSL asks at the terminal, and waits for ever."""
    raise ValueError("the key has a passphrase")
