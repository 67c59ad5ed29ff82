"""The messages about models: what each may say, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from edge.contract import jsontext
from edge.contract.bundle.envelope import add_signature, enclose
from edge.contract.bundle.freshness import Freshness, read_freshness, sign_freshness
from edge.contract.bundle.keys import new_key_pair, open_public, raw_public
from edge.contract.bundle.roles import Key, Role
from edge.contract.bundle.statement import STATEMENT_TYPE, Statement, read_statement
from edge.contract.bundle.trust import begin, chain_bytes
from edge.contract.desired import MAX_DESIRED_BYTES, read_desired
from edge.contract.model_trust import MAX_TRUST_BYTES, model_trust, read_model_trust
from edge.contract.schema_files import EXAMPLES, FOLDER
from edge.errors import BundleError, MessageError

AT = datetime(2026, 3, 1, tzinfo=UTC)
ROOT, ONLINE, RELEASE = new_key_pair(), new_key_pair(), new_key_pair()


def key(pair: tuple[bytes, bytes], name: str) -> Key:
    return Key(name=name, public=raw_public(open_public(pair[1])).hex())


def statement(version: int, *, online: bool = True, padding: int = 0) -> bytes:
    values = Statement(
        lab="our lab",
        version=version,
        created_at=AT,
        expires_at=AT + timedelta(days=365),
        root=Role(threshold=1, keys=(key(ROOT, "root"),)),
        channels={"study": Role(threshold=1, keys=(key(RELEASE, "dora"),))},
        revoked_bundles=tuple(f"{number:064x}" for number in range(padding)),
        **({"online": Role(threshold=1, keys=(key(ONLINE, "station"),))} if online else {}),
    )
    return add_signature(enclose(jsontext.encode(values), {}, STATEMENT_TYPE), ROOT[0], STATEMENT_TYPE)


def word(**changes: object) -> Freshness:
    values = {"lab": "our lab", "trust_version": 3, "releases": {"study": 13}, "signed_at": AT}
    return Freshness(**{**values, "expires_at": AT + timedelta(hours=24), **changes})  # type: ignore[arg-type]


def newest(chain: bytes) -> Statement:
    return begin(chain).newest


def example() -> dict[str, object]:
    found: dict[str, object] = json.loads((FOLDER / EXAMPLES / "model-desired.v1.json").read_bytes())
    return found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"device_id": "cage08"}, "device_id"),
        ({"mode": "revert"}, "revert without size"),
        ({"size": None}, "size"),
        ({"shadow_hours": 3.0}, "shadow_hours"),
        ({"mode": "shadow"}, "shadow_hours"),
        ({"window": {"begin": "09:00", "end": "09:00"}}, "two different times"),
        ({"window": {"begin": "9:00", "end": "17:00"}}, "begin"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "not_before before expires_at"),
        ({"expires_at": "2026-04-01T00:00:00"}, "offset"),
        ({"urls": ["ftp://elsewhere/x"]}, "urls"),
        ({"urls": ["http://host/a b"]}, "urls"),
        ({"rollout": "a/b"}, "rollout"),
        ({"more": 1}, "more"),
        ({"size": 10**12}, "size"),
    ],
)
def test_a_wish_that_could_be_read_two_ways_is_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(MessageError, match=expected):
        read_desired(json.dumps({**example(), **changes}).encode(), "cage07")


def test_size_without_sha256_and_urls_without_either_are_refused() -> None:
    for gone in (("sha256",), ("size",), ("size", "sha256")):
        values = {name: value for name, value in example().items() if name not in gone}
        with pytest.raises(MessageError, match="size and sha256"):
            read_desired(json.dumps(values).encode(), "cage07")


def test_an_empty_wish_is_none_and_a_long_one_is_not_parsed() -> None:
    assert read_desired(b"", "cage07") is None
    with pytest.raises(MessageError, match="at most"):
        read_desired(b"[" * (MAX_DESIRED_BYTES + 1), "cage07")


def test_the_message_carries_every_statement_byte_for_byte() -> None:
    chain = chain_bytes([statement(version) for version in (1, 2, 3)])
    fresh = sign_freshness(word(), ONLINE[0])
    found = read_model_trust(model_trust(chain, fresh))
    assert found is not None
    assert found.chain_file() == chain
    assert found.freshness is not None
    assert read_freshness(found.freshness.encode(), newest(chain)) == word()


def test_a_chain_too_long_for_a_message_begins_with_what_the_device_holds() -> None:
    chain = chain_bytes([statement(version, padding=1000) for version in range(1, 9)])
    with pytest.raises(MessageError, match=r"bring trust\.json"):
        model_trust(chain)
    payload = model_trust(chain, held=7)
    found = read_model_trust(payload)
    assert found is not None
    assert len(payload) <= MAX_TRUST_BYTES
    held = begin(chain_bytes([statement(version, padding=1000) for version in range(1, 8)]))
    assert held.extended([one.encode() for one in found.chain]).newest.version == 8


@pytest.mark.parametrize("chain", [["{}"], ["\u20ac"], [], ["x" * 300_000]])
def test_a_message_that_holds_no_chain_is_refused(chain: list[str]) -> None:
    with pytest.raises(MessageError):
        read_model_trust(jsontext.encode({"schema": "cageclock/model-trust/1", "chain": chain, "freshness": None}))


def test_only_the_online_key_gives_a_fresh_word_and_it_has_no_other_power() -> None:
    chain = chain_bytes([statement(1)])
    for other in (ROOT, RELEASE, new_key_pair()):
        with pytest.raises(BundleError, match="0"):
            read_freshness(sign_freshness(word(), other[0]), newest(chain))
    with pytest.raises(BundleError, match="lab"):
        read_freshness(sign_freshness(word(lab="another"), ONLINE[0]), newest(chain))
    with pytest.raises(BundleError, match="no online key"):
        read_freshness(sign_freshness(word(), ONLINE[0]), newest(chain_bytes([statement(1, online=False)])))
    with pytest.raises(BundleError, match="after signed_at"):
        sign_freshness(word(expires_at=AT), ONLINE[0])
    # A word passed off as a statement, and a statement signed by the online key.
    with pytest.raises(BundleError):
        begin(chain).extended([sign_freshness(word(), ONLINE[0])])
    forged = enclose(jsontext.encode(newest(chain)).replace(b'"version":1', b'"version":2'), {}, STATEMENT_TYPE)
    with pytest.raises(BundleError, match="signatures of the root keys"):
        begin(chain).extended([add_signature(forged, ONLINE[0], STATEMENT_TYPE)])


def test_an_online_key_that_may_sign_anything_else_makes_no_statement() -> None:
    values = newest(chain_bytes([statement(1)]))
    for pair, expected in ((ROOT, "no root key"), (RELEASE, "no key of a channel")):
        both = jsontext.encode(values).replace(key(ONLINE, "").public.encode(), key(pair, "").public.encode())
        with pytest.raises(BundleError, match=expected):
            read_statement(both)


def test_a_statement_without_an_online_key_has_the_bytes_that_it_always_had() -> None:
    assert b"online" not in jsontext.encode(newest(chain_bytes([statement(1, online=False)])))
