"""TLS with one certificate a device: the broker knows the device by it, and lets it write its own topics only."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.config import tree
from edge.config.tree import Mqtt
from edge.contract.service.credential import read_password
from edge.errors import OperatorError
from edge.outbox import Outbox
from edge.outbox.watermarks import read_released
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until


def _certificate(name: str, issuer=None, *, authority: bool = False):
    """Return (certificate, key), signed by the issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer or (None, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(signer[1], hashes.SHA256())
    )
    return made, key


def _pem(pair) -> tuple[bytes, bytes]:
    certificate, key = pair
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.broker
def test_a_device_with_its_own_certificate_publishes_under_its_own_name_only(tmp_path):
    authority = _certificate("lab authority", authority=True)
    files = {"ca.pem": _pem(authority)[0]}
    for name in ("127.0.0.1", lab.DEVICE, "cage08"):
        files[f"{name}.crt"], files[f"{name}.key"] = _pem(_certificate(name, authority))
    files["acl"] = b"pattern readwrite cageclock/v1/%u/#\n"
    settings = (
        "allow_anonymous false\ncafile {folder}/ca.pem\n"
        "certfile {folder}/127.0.0.1.crt\nkeyfile {folder}/127.0.0.1.key\n"
        "require_certificate true\nuse_identity_as_username true\nacl_file {folder}/acl"
    )
    folder = tmp_path / "broker"

    def tls(name: str) -> dict[str, str]:
        paths = {"ca": "ca.pem", "certificate": f"{name}.crt", "key": f"{name}.key"}
        return {key: str(folder / path) for key, path in paths.items()}

    state = tmp_path / "state"
    state.mkdir()
    outbox = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
    outbox.append_reading(make_reading(None))
    with Mosquitto(folder, settings, files=files) as broker:
        with lab.Publish(tmp_path, broker.port, station=None, tls=tls(lab.DEVICE)) as publish:
            wait_until(lambda: "connected" in publish.log())
            wait_until(lambda: f"{lab.ROOT}/health" in broker.log())
            assert "denies this device" not in publish.log()
            assert publish.stop() == 0
        with lab.Publish(tmp_path, broker.port, station=None, tls=tls("cage08")) as stranger:
            wait_until(lambda: "denies this device" in stranger.log())
            assert outbox.epoch not in read_released(stranger.state_dir / "delivery.db")
    outbox.close()


def test_a_password_comes_from_a_file_or_a_systemd_credential_and_a_missing_one_is_named(tmp_path, monkeypatch):
    (tmp_path / "mqtt").write_text("secret\n")
    assert read_password(str(tmp_path / "mqtt"), "mqtt.password_file") == "secret"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(OperatorError, match="needs systemd's LoadCredential=mqtt"):
        read_password("credential:mqtt", "mqtt.password_file")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_password("credential:mqtt", "mqtt.password_file") == "secret"
    with pytest.raises(OperatorError, match="absent cannot be read"):
        read_password(str(tmp_path / "absent"), "mqtt.password_file")
    assert read_password(Mqtt().password_file, "mqtt.password_file") is None
