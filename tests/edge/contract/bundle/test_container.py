"""A bundle is read back as it was written, and any change to it is refused."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.contract import jsontext
from edge.contract.bundle.bundle import ORDER, Bundle, read_bundle, unverified_sha256, write_bundle
from edge.contract.bundle.container import container_bytes, header, how_far, pack
from edge.contract.bundle.envelope import verify
from edge.contract.bundle.keys import new_key_pair, read_signing_key, read_trusted_keys, write_key_pair
from edge.contract.manifest import PAYLOAD_TYPE
from edge.errors import BundleError, OperatorError
from edge.vision.model.golden import check_golden
from edge.vision.model.loaded import load_model
from edge.vision.model.runtime import open_network, runtime_name

ROOT = Path(__file__).parents[4]
DATA = ROOT / "tests/data"
KEY = (DATA / "tiny.pub").read_bytes()
CONTENT = (DATA / "tiny.bundle").read_bytes()


def networks(bundle: Bundle) -> dict:
    return {name: open_network(bundle.files[f"{name}.tflite"], 1) for name in ("centres", "parts", "age")}


def test_what_was_written_is_read_back(tiny_bundle: Bundle, tmp_path: Path) -> None:
    private, public = new_key_pair()
    sha256 = write_bundle(tmp_path / "b", tiny_bundle.manifest, tiny_bundle.files, private)
    again = read_bundle(tmp_path / "b", [KEY, public])
    assert again.sha256 == sha256
    assert again.files == tiny_bundle.files
    assert again.manifest == tiny_bundle.manifest


def test_a_bundle_signed_by_nobody_trusted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="none of 1 trusted keys"):
        read_bundle(DATA / "tiny.bundle", [new_key_pair()[1]])


def refused(content: bytes, path: Path) -> str:
    """Return why a file of this content is refused; it must be."""
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_bundle(path, [KEY])
    return str(caught.value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(CONTENT) - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_refused(position: int, value: int, tmp_path: Path) -> None:
    changed = bytearray(CONTENT)
    changed[position] = value
    if changed != CONTENT:
        refused(bytes(changed), tmp_path / "changed")


def test_every_bit_that_no_digest_covers_is_refused_all_the_same(tmp_path: Path) -> None:
    """Headers, padding, and the envelope's form around the signed bytes. All 327,680 were tried once."""
    (tmp_path / "b").write_bytes(CONTENT)
    assert read_bundle(tmp_path / "b", [KEY])
    free = [*range(512), *range(512, 580), *range(512 + 5367 - 160, 6144 + 512)]
    with tarfile.open(DATA / "tiny.bundle") as archive:
        for entry in archive.getmembers()[1:]:
            end = entry.offset_data + entry.size
            free += [*range(entry.offset, entry.offset_data, 5), *range(end, end + -entry.size % 512, 5)]
    free += range(31744 + 512, len(CONTENT), 97)
    with (tmp_path / "b").open("r+b", buffering=0) as file:
        for number, at in enumerate(free):
            file.seek(at)
            file.write(bytes([CONTENT[at] ^ 1 << number % 8]))
            with pytest.raises(BundleError):
                read_bundle(tmp_path / "b", [KEY])
            file.seek(at)
            file.write(CONTENT[at : at + 1])
    assert read_bundle(tmp_path / "b", [KEY])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, len(CONTENT) - 1))
def test_a_bundle_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    refused(CONTENT[:length], tmp_path / "short")


@pytest.mark.parametrize("more", [b"\0", bytes(512), bytes(10_240), b"x", CONTENT])
def test_anything_after_or_before_it_is_refused(more: bytes, tmp_path: Path) -> None:
    refused(CONTENT + more, tmp_path / "b")
    refused(more + CONTENT, tmp_path / "b")


def test_the_file_is_what_any_tar_lists_and_follows_from_its_parts_alone(tmp_path: Path) -> None:
    with tarfile.open(DATA / "tiny.bundle") as archive:
        parts = [(entry.name, archive.extractfile(entry).read()) for entry in archive]
    assert pack(parts) == CONTENT
    assert container_bytes([len(content) for _, content in parts]) == len(CONTENT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_headers_that_tar_would_follow_are_not_followed(kind: bytes, tmp_path: Path) -> None:
    """400 kB of chained headers ended `tarfile` with a RecursionError."""
    entry = tarfile.TarInfo("envelope.json")
    entry.type = kind
    refused(entry.tobuf(tarfile.USTAR_FORMAT) * 800 + CONTENT, tmp_path / "b")


ENVELOPES = {
    "nested": b"[" * 3_900_000,
    "the same key often": b"{" + b'"a":1,' * 500_000 + b'"a":1}',
    "one long number": b'{"payloadType":' + b"9" * 3_000_000 + b"}",
    "digits for a regular expression": b'{"a":"' + b"0" * 3_900_000 + b'"}',
    "the right beginning and a long payload": (
        b'{"payloadType":"%s","payload":"' % PAYLOAD_TYPE.encode()
        + b"A" * 3_900_000
        + CONTENT[512 + 5367 - 142 :][:142]
    ),
}


@pytest.mark.parametrize("what", ENVELOPES)
def test_what_nobody_signed_is_refused_in_no_time(what: str, tmp_path: Path) -> None:
    content = ENVELOPES[what]
    begin = time.process_time()
    refused(header("envelope.json", len(content)) + content + bytes(20_000), tmp_path / "b")
    assert time.process_time() - begin < 1.0


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="expected an ordinary file"):
        read_bundle(tmp_path / "pipe", [KEY])


def test_the_identity_is_the_signed_manifests_digest(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Whoever signs the same manifest again signs the same model; the file is another one."""
    again = []
    for name in ("a", "b"):
        private, public = new_key_pair()
        write_bundle(tmp_path / name, tiny_bundle.manifest, tiny_bundle.files, private)
        again.append(read_bundle(tmp_path / name, [public]))
        assert unverified_sha256(tmp_path / name) == tiny_bundle.sha256
    with tarfile.open(DATA / "tiny.bundle") as archive:
        envelope = json.load(archive.extractfile("envelope.json"))
    signed = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
    assert {signed} == {tiny_bundle.sha256} == {one.sha256 for one in again}
    assert len({one.file_sha256 for one in again}) == 2
    assert tiny_bundle.file_sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("length", [0, 40, 300, 600, 6000, 20_000, len(CONTENT) - 10_000, len(CONTENT) - 1])
def test_a_part_of_a_container_is_told_from_a_whole_one_and_from_another_file(length: int, tmp_path: Path) -> None:
    path = tmp_path / "b"
    for content, expected in (
        (CONTENT[:length], "unfinished"),
        (CONTENT[: length // 512 * 512].ljust(len(CONTENT), b"\0"), "whole" if length >= 31_744 else "unfinished"),
        (CONTENT, "whole"),
        (CONTENT + b"\0", "foreign"),
        (b"x" + CONTENT, "foreign"),
        (b"rubbish", "foreign"),
    ):
        path.write_bytes(content)
        with path.open("rb") as file:
            assert how_far(file.fileno()) == expected


@pytest.mark.parametrize("way", ["gnu", "pax", "another owner", "below ./"])
def test_a_bundle_that_was_packed_anew_is_named_as_that(way: str, tmp_path: Path) -> None:
    """`tar -xf` and `tar -cf` on the way: "begins with envelope.json, got bytes that begin with envelope.json"."""
    (tmp_path / "again.bundle").write_bytes(packed_anew(CONTENT, way))
    with pytest.raises(BundleError, match="got a tar that was packed anew; copy the file"):
        read_bundle(tmp_path / "again.bundle", [KEY])


def packed_anew(content: bytes, way: str) -> bytes:
    """Return a container's parts in another tar."""
    out = io.BytesIO()
    kind = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}.get(way, tarfile.USTAR_FORMAT)
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as source,
        tarfile.open(fileobj=out, mode="w", format=kind) as target,
    ):
        for entry in source:
            again = tarfile.TarInfo(f"./{entry.name}" if way == "below ./" else entry.name)
            again.size, again.uid = entry.size, 1000 if way == "another owner" else 0
            again.mtime = 0.5 if way == "pax" else 0
            target.addfile(again, source.extractfile(entry))
    return out.getvalue()


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read the bundle"):
        read_bundle(tmp_path / "none", [KEY])


def test_a_part_over_its_cap_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    out = io.BytesIO()
    entry = tarfile.TarInfo("envelope.json")
    entry.size = 5_000_000
    out.write(entry.tobuf(tarfile.USTAR_FORMAT))
    (tmp_path / "big").write_bytes(out.getvalue())
    with pytest.raises(BundleError, match="at most 4000000"):
        read_bundle(tmp_path / "big", [KEY])


def test_a_missing_part_is_not_written(tiny_bundle: Bundle, tmp_path: Path) -> None:
    files = {name: tiny_bundle.files[name] for name in ORDER[1:]}
    with pytest.raises(BundleError, match="expected the parts"):
        write_bundle(tmp_path / "b", tiny_bundle.manifest, files, new_key_pair()[0])


def test_the_golden_inputs_are_answered(tiny_bundle: Bundle) -> None:
    assert check_golden(load_model(tiny_bundle), tiny_bundle) == []


def test_a_wrong_network_fails_its_golden_input(tiny_bundle: Bundle) -> None:
    class Inverted:
        def __init__(self, network) -> None:
            self._network = network

        def run_raw(self, pixels):
            return self._network.run_raw(255 - pixels)

    right = load_model(tiny_bundle)
    failures = check_golden(replace(right, parts=Inverted(right.parts)), tiny_bundle)
    assert len(failures) == 1
    assert failures[0].startswith("parts:")


def test_a_network_that_is_no_tflite_file_is_one_clear_error() -> None:
    with pytest.raises(BundleError, match="cannot load it"):
        open_network(b"not a network" * 10, 1)


def test_a_loaded_model_says_which_it_is(tiny_bundle: Bundle) -> None:
    said = load_model(tiny_bundle).describe()
    assert (said.notice, said.sha256, said.runtime) == ("test model; no meaning", tiny_bundle.sha256, runtime_name())


def test_a_key_pair_signs_and_is_never_overwritten(tiny_bundle: Bundle, tmp_path: Path) -> None:
    private, public = tmp_path / "k.key", tmp_path / "k.pub"
    write_key_pair(private, public)
    assert private.stat().st_mode & 0o077 == 0
    write_bundle(tmp_path / "b", tiny_bundle.manifest, tiny_bundle.files, read_signing_key(private))
    read_bundle(tmp_path / "b", read_trusted_keys([public]))
    with pytest.raises(OperatorError, match="there is a key already"):
        write_key_pair(private, public)


def test_a_missing_key_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot read the public key"):
        read_trusted_keys([tmp_path / "none.pub"])


@pytest.mark.parametrize("what", ["a private key, which belongs to whoever signs", "something else"])
def test_what_is_no_public_key_is_named_with_its_file(tmp_path: Path, what: str) -> None:
    private, public = tmp_path / "k.key", tmp_path / "k.pub"
    write_key_pair(private, public)
    public.write_bytes(b"hello")
    path = private if what.startswith("a private") else public
    with pytest.raises(OperatorError) as caught:
        read_trusted_keys([path])
    assert str(caught.value) == f"{path}: expected a public key (PEM), got {what}"


@pytest.mark.slow
def test_the_script_still_makes_the_tiny_bundle(tmp_path: Path, tiny_bundle: Bundle) -> None:
    pytest.importorskip("tensorflow")
    command = [sys.executable, str(ROOT / "tests/make_tiny_bundle.py"), str(tmp_path)]
    env = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin"}
    subprocess.run(command, check=True, capture_output=True, env=env, timeout=500)
    made = read_bundle(tmp_path / "tiny.bundle", [(tmp_path / "tiny.pub").read_bytes()])
    assert check_golden(load_model(made), tiny_bundle) == []


@pytest.mark.parametrize("signature", ["\u00b2", "no base64!", "AAAA"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    _, public = new_key_pair()
    outer = {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"keyid": "a", "sig": signature}]}
    with pytest.raises(BundleError):
        verify(jsontext.encode(outer), [public])
