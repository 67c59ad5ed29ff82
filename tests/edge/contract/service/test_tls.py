"""What is checked of a broker's certificate does not depend on the Python that runs."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from socket import create_connection, create_server

import pytest

from edge.contract.service.tls import client_context
from tests.harness.certificates import Authority


def test_the_flags_are_stated_and_not_the_interpreters_default() -> None:
    context = client_context(None)
    assert context.verify_flags == ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    assert context.check_hostname
    assert context.verify_mode == ssl.VerifyMode.CERT_REQUIRED


@pytest.mark.parametrize("key_usage", [True, False])
def test_a_lab_authority_is_taken_with_key_usage_or_without(tmp_path: Path, key_usage: bool) -> None:
    """`openssl req -x509` makes one without it unless it is asked to; Python 3.13 refuses that by default."""
    authority = Authority(tmp_path, key_usage=key_usage)
    assert _shakes_hands(authority, authority.ca, "127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_another_authority_or_another_name_is_refused_all_the_same(tmp_path: Path, host: str) -> None:
    authority, other = Authority(tmp_path / "one", key_usage=False), Authority(tmp_path / "other")
    trusted = other.ca if host == "127.0.0.1" else authority.ca
    with pytest.raises(ssl.SSLCertVerificationError):
        _shakes_hands(authority, trusted, host)


def _shakes_hands(authority: Authority, trusted: Path, host: str) -> bool:
    certificate, key = authority.issue("broker", "127.0.0.1")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    listener = create_server(("127.0.0.1", 0))

    def serve() -> None:
        near, _ = listener.accept()
        try:
            serving.wrap_socket(near, server_side=True).close()
        except OSError:  # the client refused
            near.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with create_connection(("127.0.0.1", listener.getsockname()[1])) as plain:
            with client_context(str(trusted)).wrap_socket(plain, server_hostname=host) as wrapped:
                return wrapped.version() is not None
    finally:
        thread.join(10)
        listener.close()
