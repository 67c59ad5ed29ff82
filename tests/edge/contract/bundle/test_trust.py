"""Which trust statements a device takes, and whose signatures let a bundle in: every rule, without a file."""

import random
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, bundle_bytes, read_bundle, read_unverified, signed_again
from edge.contract.bundle.envelope import MAX_SIGNATURES, add_signature, enclose, open_envelope, verify
from edge.contract.bundle.statement import STATEMENT_TYPE, Floor
from edge.contract.bundle.trust import MAX_CHAIN_BYTES, begin, chain_bytes, split_chain
from edge.errors import BundleError
from tests.edge.contract.bundle.signers import MONDAY, bundle_of, chain, person, role, signed, statement

FIRST = begin(chain())
SHA = "ab" * 32


def refused(trust, *envelopes: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        trust.extended(envelopes)
    return str(caught.value)


def test_two_of_three_root_keys_begin_a_chain_and_one_does_not() -> None:
    assert begin(chain(signed(statement(), "ben", "clara"))).newest == statement()
    with pytest.raises(BundleError, match="expected 2 signatures of its own root keys, got 1"):
        begin(chain(signed(statement(), "ben")))
    twice = add_signature(signed(statement(), "ben"), person("ben").private, STATEMENT_TYPE)
    with pytest.raises(BundleError, match="got 1"):
        begin(chain(twice))


def test_a_forged_statement_is_refused() -> None:
    assert "expected 2 signatures" in refused(FIRST, signed(statement(2), "mallory", "mallet"))
    body = bytearray(open_envelope(signed(statement(2)), STATEMENT_TYPE).body)
    good = open_envelope(signed(statement(2)), STATEMENT_TYPE)
    body[-20] ^= 1
    from edge.contract.bundle.envelope import enclose

    assert "got 0" in refused(FIRST, enclose(bytes(body), good.signatures, STATEMENT_TYPE))


def test_a_root_rotation_takes_the_old_and_the_new_root() -> None:
    others = statement(2, root=role(2, "hugo", "ida", "jan"))
    both = FIRST.extended([signed(others, "anna", "clara", "hugo", "jan")])
    assert both.newest.version == 2
    assert "root keys of version 1, got 0" in refused(FIRST, signed(others, "hugo", "ida"))
    assert "of its own root keys, got 0" in refused(FIRST, signed(others, "anna", "ben"))
    assert "of its own root keys, got 1" in refused(FIRST, signed(others, "anna", "ben", "hugo"))
    late = signed(statement(3), "anna", "ben")
    assert "older version, which count no longer" in refused(both, late), "the old root is nobody afterwards"


def test_a_device_that_was_away_walks_through_every_root_between() -> None:
    names = [("anna", "ben"), ("hugo", "ida"), ("jan", "karl"), ("lena", "max")]
    envelopes = [signed(statement(1), "anna", "ben")]
    for version, (before, after) in enumerate(pairwise(names), 2):
        envelopes.append(signed(statement(version, root=role(2, *after)), *before, *after))
    walked = FIRST.extended(split_chain(chain_bytes(envelopes)))
    assert walked.newest.version == 4
    assert "expected 2 signatures" in refused(FIRST, envelopes[-1]), "without those between nobody can tell"
    assert walked.extended(envelopes[:2]) is walked, "an older chain in a bundle changes nothing"


def test_fast_forward_lower_and_other_statements_are_refused() -> None:
    assert "expected version 2 next, got 3" in refused(FIRST, signed(statement(3)))
    assert "next, got 9007199254740991" in refused(FIRST, signed(statement(2**53 - 1)))
    second = FIRST.extended([signed(statement(2))])
    older = replace(second, statements=second.statements[1:], envelopes=second.envelopes[1:])
    assert "lower version: expected more than 2" in refused(older, signed(statement(1)))
    other = signed(statement(2, created_at=MONDAY + timedelta(hours=1)))
    assert "another one of the same version" in refused(second, signed(statement(1)), other)
    assert "lower version" in refused(second, other)


def test_what_is_revoked_stays_revoked() -> None:
    second = FIRST.extended([signed(statement(2, revoked_keys=(person("gina").key.id,), revoked_bundles=(SHA,)))])
    assert "revoked_keys: expected what was revoked" in refused(second, signed(statement(3, revoked_bundles=(SHA,))))
    assert "revoked_bundles" in refused(second, signed(statement(3, revoked_keys=(person("gina").key.id,))))


WRONG = {
    "unknown key": lambda body: body.replace(b'"lab"', b'"extra":1,"lab"'),
    "duplicate key": lambda body: body.replace(b'"version":2', b'"version":2,"version":2'),
    "missing key": lambda body: body.replace(b'"version":2,', b""),
    "threshold of none": lambda body: body.replace(b'"threshold":2', b'"threshold":0', 1),
    "a number that is no version": lambda body: body.replace(b'"version":2', b'"version":1e400'),
    "a time without a zone": lambda body: body.replace(b"+00:00", b"").replace(b'Z"', b'"'),
    "nested": lambda body: b"[" * 200_000,
    "another schema": lambda body: body.replace(b"trust/1", b"trust/2"),
    "not text": lambda body: b"\xff" * 100,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_statement_that_its_signers_got_wrong_is_refused_by_name(what: str) -> None:
    body = WRONG[what](jsontext.encode(statement(2)))
    assert body != jsontext.encode(statement(2))
    assert "trust statement" in refused(FIRST, signed(body))


CONTRADICTING = {
    "at least 2 keys, got 1": {"root": role(2, "anna")},
    "no revoked key": {"revoked_keys": (person("anna").key.id,)},
    "a moment after created_at": {"expires_at": MONDAY},
    "each key once": {"channels": {"study": role(2, "dora", "dora")}},
    "no root key": {"channels": {"study": role(1, "anna")}},
    "each one once, in order": {"revoked_bundles": (SHA, SHA)},
    "'our lab', got 'theirs'": {"lab": "theirs"},
}


@pytest.mark.parametrize("expected", CONTRADICTING)
def test_a_statement_that_contradicts_itself_is_refused(expected: str) -> None:
    assert expected in refused(FIRST, signed(statement(2, **CONTRADICTING[expected]), "anna", "ben"))


def test_endless_data_ends_at_the_cap() -> None:
    for content in (b"[\n" + b"x" * MAX_CHAIN_BYTES + b"\n]\n", b"[\n" + b",\n" * 600 + b"\n]\n", b"", b"[\n\n]\n"):
        begun = time.process_time()
        with pytest.raises(BundleError):
            begin(content)
        assert time.process_time() - begun < 1.0
    with pytest.raises(BundleError, match="at most 16"):
        signed(statement(), *(f"person {number}" for number in range(MAX_SIGNATURES + 1)))


def test_a_manifests_signature_is_none_of_a_statement() -> None:
    body = jsontext.encode(statement())
    from edge.contract.bundle.envelope import enclose, sign

    as_bundle = open_envelope(sign(body, person("anna").private))
    with pytest.raises(BundleError, match="got 0"):
        begin(chain(enclose(body, as_bundle.signatures, STATEMENT_TYPE)))


def bundle_refused(trust, content: bytes, path: Path, channel: str = "study") -> str:
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_bundle(path, trust.authority(channel))
    return str(caught.value)


def test_a_bundle_takes_as_many_keys_as_its_channel(tiny_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "b"
    for names in (("dora", "emil"), ("fritz", "dora"), ("dora", "emil", "fritz", "mallory")):
        path.write_bytes(bundle_of(tiny_bundle, *names))
        assert read_bundle(path, FIRST.authority("study")).manifest.channel == "study"
    assert "takes 2 of its keys, got dora (" in bundle_refused(FIRST, bundle_of(tiny_bundle, "dora"), path)
    assert "signature: " in bundle_refused(FIRST, bundle_of(tiny_bundle, "mallory", "mallet"), path)
    assert "signature: " in bundle_refused(FIRST, bundle_of(tiny_bundle), path)
    assert "signature: " in bundle_refused(FIRST, bundle_of(tiny_bundle, "anna", "ben"), path), "roots sign no bundles"


def test_a_signature_beyond_the_threshold_holds_too_or_the_file_was_changed(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """A signature that nobody needs could otherwise be anything: one bundle would have many files."""
    path = tmp_path / "b"
    whole = bundle_of(tiny_bundle, "dora", "emil", "fritz")
    path.write_bytes(whole)
    one = read_bundle(path, FIRST.authority("study"))
    signatures = dict(open_envelope(one.envelope).signatures)
    fritz = person("fritz").key.id
    for changed in (
        signatures | {fritz: bytes(64)},
        {name: value for name, value in signatures.items() if name != fritz} | {"0" * 16: signatures[fritz]},
    ):
        path.write_bytes(bundle_bytes(enclose(open_envelope(one.envelope).body, changed), one.files))
        with pytest.raises(BundleError, match=r"signature: the signature (of|under)"):
            read_bundle(path, FIRST.authority("study"))
        assert read_bundle(path, FIRST.earlier_authority()), "what is installed goes on"
    path.write_bytes(signed_again(one, person("new here").private))
    assert read_bundle(path, FIRST.authority("study")), "of a key that is not known yet nothing can be judged"


def test_statements_that_are_held_already_have_to_be_signed_in_every_file(tiny_bundle: Bundle) -> None:
    """One bit in a signature of a statement that the device held was passed over, and the bundle was installed."""
    first, second = signed(statement()), signed(statement(2))
    held = FIRST.extended([second])
    opened = open_envelope(first, STATEMENT_TYPE)
    unsigned = enclose(opened.body, {}, STATEMENT_TYPE)
    assert "signatures of its own root keys, got 0" in refused(held, unsigned)
    assert "signatures" in refused(held, unsigned, second)
    assert "signatures" in refused(held, first, enclose(open_envelope(second, STATEMENT_TYPE).body, {}, STATEMENT_TYPE))
    third = signed(statement(), "anna", "ben", "clara")
    changed = dict(open_envelope(third, STATEMENT_TYPE).signatures) | {person("clara").key.id: bytes(64)}
    assert "clara" in refused(held, enclose(opened.body, changed, STATEMENT_TYPE))
    assert held.extended([third, second]) is held


def test_a_key_of_another_channel_is_none_of_this_one(tiny_bundle: Bundle, tmp_path: Path) -> None:
    said = bundle_refused(FIRST, bundle_of(tiny_bundle, "gina", channel="dev"), tmp_path / "b")
    assert "channel: it is signed for channel 'dev'" in said
    with pytest.raises(BundleError, match=r"expected 'own', which bundle.channel names, got 'study', 'dev'"):
        FIRST.authority("own")


def test_a_revoked_key_does_not_count_and_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    trust = FIRST.extended([signed(statement(2, revoked_keys=(person("emil").key.id,)))])
    assert "revoked key: emil" in bundle_refused(trust, bundle_of(tiny_bundle, "dora", "emil"), tmp_path / "b")
    (tmp_path / "b").write_bytes(bundle_of(tiny_bundle, "dora", "emil", "fritz"))
    assert read_bundle(tmp_path / "b", trust.authority("study"))


def test_parts_and_signatures_of_two_bundles_do_not_mix(tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = {"MODEL_CARD.md": b"another card"}
    mixed = bundle_of(tiny_bundle, "dora", "emil", files=other)
    assert "the header that belongs to its name" in bundle_refused(FIRST, mixed, tmp_path / "b")
    same_length = {"MODEL_CARD.md": b"x" * len(tiny_bundle.files["MODEL_CARD.md"])}
    mixed = bundle_of(tiny_bundle, "dora", "emil", files=same_length)
    assert "MODEL_CARD.md: expected sha256" in bundle_refused(FIRST, mixed, tmp_path / "b")


def test_statements_travel_and_signing_again_changes_nothing_else(tiny_bundle: Bundle, tmp_path: Path) -> None:
    path, trust = tmp_path / "b", chain()
    path.write_bytes(bundle_of(tiny_bundle, "emil", trust=trust))
    one = read_unverified(path)
    assert (one.chain, list(open_envelope(one.envelope).signatures)) == (trust, [person("emil").key.id])
    path.write_bytes(signed_again(one, person("dora").private))
    two = read_bundle(path, FIRST.authority("study"))
    assert (two.sha256, two.files, two.chain) == (one.sha256, one.files, trust)
    assert path.read_bytes() == bundle_of(tiny_bundle, "dora", "emil", trust=trust), "who signed first does not matter"


def test_a_campaign_of_mutants_is_refused_and_quickly(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """800 mutated chains and bundles with chains: bits, cuts, doubled and exchanged stretches, blanks."""
    rng, path = random.Random(20260302), tmp_path / "b"
    second = signed(statement(2, floors={"study": Floor(release=3)}))
    chains, bundle = chain(signed(statement()), second), bundle_of(tiny_bundle, "dora", "emil", trust=chain())
    authority, longest = FIRST.authority("study"), 0.0
    for number in range(800):
        source = chains if number % 2 else bundle
        mutant = mutated(source, rng)
        if mutant == source:
            continue
        begun = time.process_time()
        path.write_bytes(mutant)
        with pytest.raises(BundleError):
            begin(mutant if number % 2 else read_bundle(path, authority).chain or b"")
        longest = max(longest, time.process_time() - begun)
    assert longest < 2.0


def mutated(source: bytes, rng: random.Random) -> bytes:
    # Most of a bundle is covered by one digest: half of the changes go where its envelope and statements are.
    end = len(source) if rng.random() < 0.5 else min(len(source), 12_000)
    at, length = rng.randrange(end), rng.randrange(1, 200)
    kind = rng.randrange(6)
    if kind == 0:
        return source[:at] + bytes([source[at] ^ 1 << rng.randrange(8)]) + source[at + 1 :]
    if kind == 1:
        return source[:at]
    if kind == 2:
        return source[:at] + source[at : at + length] + source[at:]
    if kind == 3:
        return source[:at] + rng.choice([b" ", b"\n", b"\0", b"\t"]) + source[at:]
    if kind == 4:
        return source[:at] + source[at + length :]
    other = rng.randrange(end)
    return source[:at] + source[other : other + length] + source[at + length :]


def test_a_dsse_reader_reads_the_envelope() -> None:
    """Any JSON reader finds type, payload and signatures; `verify` takes one of the trusted keys as it did."""
    import base64
    import json

    outer = json.loads(signed(statement()))
    assert outer["payloadType"] == STATEMENT_TYPE
    assert json.loads(base64.b64decode(outer["payload"]))["version"] == 1
    assert [one["keyid"] for one in outer["signatures"]] == sorted(person(name).key.id for name in ("anna", "ben"))
    json.loads(chain())
    with pytest.raises(BundleError):
        verify(signed(statement()), [person("anna").public])
    assert msgspec.structs.asdict(statement())["lab"] == "our lab"
