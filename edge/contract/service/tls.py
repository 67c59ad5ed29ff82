"""How a client of ours checks a broker's certificate: the same under every Python."""

from __future__ import annotations

import ssl


def client_context(ca: str | None, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """Return a context that checks name and chain, with the client's own certificate where one is given.

    ca: PEM file of the authorities to trust; None means the system's.

    Python 3.13 began to refuse, by default, a lab authority without the key usage extension, and to take a certificate
    in `ca` that is no authority: a device that connects today must not stop with its next system. What is checked is
    stated here instead (RFC 5280's path validation as OpenSSL does it by itself).

    Raises:
        OSError, ssl.SSLError: a file cannot be read, or holds no such thing.
    """
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
