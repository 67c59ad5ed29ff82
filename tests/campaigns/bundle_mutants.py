"""Mutated bundles and trust statements of every kind: none is accepted, and none takes longer than two seconds.

    python -m tests.campaigns.bundle_mutants --seed S --budget MUTANTS [--ledger FILE]

Each is made of a bundle that two people signed, with trust statements in it, or of those statements by themselves:
bits, cuts and blanks; headers of the archive with a right checksum; JSON with blanks, keys twice, in another order;
parts in another order, twice, added, or of another bundle; signatures exchanged, of strangers, or over something else.
Most are given to the reader that decides, every thousandth to the whole installer with a canary that takes everything.
"""

from __future__ import annotations

import base64
import json
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from edge.bundle.canary import Verdict
from edge.bundle.install import Installer
from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, manifest_bytes, read_bundle, read_unverified
from edge.contract.bundle.container import BLOCK, ENVELOPE, RECORD, TRUST, header
from edge.contract.bundle.envelope import add_signature, enclose, open_envelope
from edge.contract.bundle.statement import Floor
from edge.contract.bundle.trust import begin, split_chain
from edge.contract.manifest import AGE, CENTRES, Manifest
from edge.errors import BundleError, MessageError
from edge.timing.clock import SteppedClock
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.edge.capture.running import write_settings
from tests.edge.contract.bundle.signers import MONDAY, bundle_of, chain, person, signed, statement

LIMIT_S = 2.0
"""Processor time for one mutant."""
WHOLE_EVERY = 1000
Parts = list[tuple[bytes, bytes]]
"""Header and content of each part of a container, in its order."""


@dataclass(frozen=True)
class Sources:
    """bundle: signed by two, with a chain in it. three: by one more than it takes. chain: of two statements.

    other: another release, of other networks.
    """

    bundle: bytes
    three: bytes
    other: bytes
    chain: bytes
    parsed: Bundle


def sources(tiny: Bundle) -> Sources:
    """Return what the mutants are made of; the keys are new in each process, so only the kinds follow the seed."""
    second = signed(statement(2, floors={"study": Floor(release=3)}))
    first = chain(signed(statement()))
    bundle = bundle_of(tiny, "dora", "emil", trust=first, release=4)
    three = bundle_of(tiny, "dora", "emil", "fritz", trust=first, release=4)
    swapped = replace(tiny, files={**tiny.files, CENTRES: tiny.files[AGE], AGE: tiny.files[CENTRES]})
    other = bundle_of(swapped, "dora", "emil", trust=first, release=5)
    with tempfile.NamedTemporaryFile() as file:
        file.write(bundle)
        file.flush()
        parsed = read_unverified(Path(file.name))
    return Sources(bundle, three, other, chain(signed(statement()), second), parsed)


def split(content: bytes) -> Parts:
    """Return the parts of a container."""
    found, at = [], 0
    while content[at : at + 1].strip(b"\0"):
        size = int(content[at + 124 : at + 135], 8)
        found.append((content[at : at + BLOCK], content[at + BLOCK : at + BLOCK + size]))
        at += BLOCK + size + -size % BLOCK
    return found


def joined(parts: Parts) -> bytes:
    """Return a container of these headers and contents."""
    filled = b"".join(head + content + bytes(-len(content) % BLOCK) for head, content in parts)
    return filled + bytes(-(-(len(filled) + 2 * BLOCK) // RECORD) * RECORD - len(filled))


def named(parts: Parts, number: int, content: bytes) -> Parts:
    """Return the parts with another content in one, under a header that is right for it."""
    name = parts[number][0][:100].rstrip(b"\0").decode()
    return [*parts[:number], (header(name, len(content)), content), *parts[number + 1 :]]


def bytes_changed(source: bytes, chance: random.Random) -> bytes:
    """Bits, cuts, doubled, removed and exchanged stretches, blanks; half of them where envelope and statements are."""
    end = len(source) if chance.random() < 0.5 else min(len(source), 12_000)
    at, length, kind = chance.randrange(end), chance.randrange(1, 200), chance.randrange(7)
    if kind == 0:
        return source[:at] + bytes([source[at] ^ 1 << chance.randrange(8)]) + source[at + 1 :]
    if kind == 1:
        return source[:at]
    if kind == 2:
        return source[:at] + source[at : at + length] + source[at:]
    if kind == 3:
        return source[:at] + chance.choice([b" ", b"\n", b"\0", b"\t", b"\r\n", b"\xef\xbb\xbf"]) + source[at:]
    if kind == 4:
        return source[:at] + source[at + length :]
    if kind == 5:  # the length stays: what stood there is written over
        return source[:at] + chance.randbytes(length) + source[at + length :]
    other = chance.randrange(end)
    return source[:at] + source[other : other + length] + source[at + length :]


def header_changed(of: Sources, chance: random.Random) -> bytes:
    """One field of one header, its checksum put right, as any tar would take it."""
    parts = split(of.bundle)
    number = chance.randrange(len(parts))
    head, content = parts[number]
    field = chance.choice(
        ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
    )
    tricks = [
        b"../../etc/passwd",
        b"/etc/shadow",
        b"..",
        b"0000000001\0",
        b"7" * 11,
        b"\x80" * 4,
        b"1",
        b"2",
        b"x",
        b"g",
    ]
    value = chance.choice([*tricks, chance.randbytes(field[1]), head[:100].rstrip(b"\0") + b"\0x"])[: field[1]]
    changed = head[: field[0]] + value + head[field[0] + len(value) :]
    blank = changed[:148] + b" " * 8 + changed[156:]
    parts[number] = (blank[:148] + b"%06o\0 " % sum(blank) + blank[156:], content)
    return joined(parts)


def parts_changed(of: Sources, chance: random.Random) -> bytes:
    """Parts in another order, twice, left out, added, of another bundle, or with something behind them."""
    parts, other = split(of.bundle), split(of.other)
    one, two = chance.sample(range(len(parts)), 2)
    kind = chance.randrange(7)
    if kind == 0:
        parts[one], parts[two] = parts[two], parts[one]
    elif kind == 1:
        parts.insert(chance.randrange(len(parts) + 1), parts[one])
    elif kind == 2:
        # The statements may be left out: they are signed by themselves, and no part of the model.
        parts.pop(one if one != 1 else 0)
    elif kind == 3:
        name = chance.choice(["../x", "/etc/passwd", "a/../../b", "extra", TRUST, ENVELOPE, CENTRES])
        content = chance.randbytes(chance.randrange(600))
        parts.insert(chance.randrange(len(parts) + 1), (header(name, len(content)), content))
    elif kind == 4:
        differing = [at for at in range(len(parts)) if parts[at][1] != other[at][1]]
        chosen = {at for at in differing if chance.random() < 0.5} or {differing[0]}
        parts = [other[at] if at in chosen else part for at, part in enumerate(parts)]
        if all(at in chosen for at in differing):
            parts[0] = split(of.bundle)[0]
    elif kind == 5:
        return of.bundle + chance.choice([bytes(RECORD), b"\0", chance.randbytes(50), of.other])
    else:
        at = -chance.randrange(1, 2 * BLOCK)
        return of.bundle[:at] + bytes([chance.randrange(1, 256)]) + (of.bundle[at + 1 :] if at != -1 else b"")
    return joined(parts)


def envelope_changed(of: Sources, chance: random.Random) -> bytes:
    """The same JSON written otherwise, other signatures, or another manifest under the old ones."""
    parts, opened = split(of.bundle), open_envelope(of.parsed.envelope)
    outer = json.loads(of.parsed.envelope)
    kind = chance.randrange(9)
    if kind == 0:
        style = chance.choice([{"indent": 1}, {"separators": (", ", ": ")}, {"sort_keys": True}])
        content = json.dumps(outer, **style).encode()
    elif kind == 1:
        content = json.dumps(outer | {"signatures": outer["signatures"][::-1]}, separators=(",", ":")).encode()
    elif kind == 2:
        again = chance.choice(['"payload":"e30=",', '"signatures":[],', '"payloadType":"x",'])
        content = b"{" + again.encode() + of.parsed.envelope[1:]
    elif kind == 3:
        one, two = opened.signatures
        content = enclose(opened.body, {one: opened.signatures[two], two: opened.signatures[one]})
    elif kind == 4:
        content = add_signature(enclose(opened.body, {}), person(chance.choice(["mallory", "gina", "anna"])).private)
        content = add_signature(content, person(chance.choice(["dora", "emil", "mallet"])).private)
    elif kind == 5:
        lone = chance.choice(list(opened.signatures))
        content = enclose(opened.body, {lone: opened.signatures[lone]})
    elif kind == 6:
        content = enclose(bytes_changed(opened.body, chance), opened.signatures)
    elif kind == 7:
        payload = base64.b64encode(opened.body)
        loose = chance.choice(
            [payload + b"=", payload.replace(b"+", b"-") + b"\n", payload[:-1] + b"B", b" " + payload]
        )
        content = of.parsed.envelope.replace(payload, loose, 1)
    else:
        manifest = json.loads(opened.body)
        manifest |= {"release": chance.randrange(5, 2**50), chance.choice(["channel", "target_group", "more"]): "any"}
        forged = enclose(json.dumps(manifest, separators=(",", ":")).encode(), {})
        content = add_signature(forged, person(chance.choice(["mallory", "gina", "emil"])).private)
    return joined(named(parts, 0, content))


def third_signature_changed(of: Sources, chance: random.Random) -> bytes:
    """A change in an envelope with one signature more than it takes: the file is none of those that were signed."""
    length = int(of.three[124:135], 8)
    at = BLOCK + length - chance.randrange(1, 420)
    kind = chance.randrange(3)
    if kind == 0:
        value = bytes([of.three[at] ^ 1 << chance.randrange(8)])
    elif kind == 1:
        value = chance.choice(b"0123456789abcdefABCXYZ+/=").to_bytes()
    else:
        value = chance.randbytes(chance.randrange(1, 100))
    return of.three[:at] + value + of.three[at + len(value) :]


def body_signed_by_all(of: Sources, chance: random.Random) -> bytes:
    """A manifest that breaks a rule and that both signed all the same: keys unknown, twice, of another type."""
    body = manifest_bytes(of.parsed.manifest, of.parsed.files)
    kind = chance.randrange(5)
    if kind == 0:
        body = b'{"unknown_%d":1,' % chance.randrange(10**6) + body[1:]
    elif kind == 1:
        body = b'{"release":%d,' % chance.randrange(10**6) + body[1:]
    elif kind == 2:
        values = json.loads(body)
        values[chance.choice(list(values))] = chance.choice([None, [], "x" * 10_000, -1, {"a": 1}, 1e300, True])
        body = json.dumps(values, separators=(",", ":")).encode()
        if _may_be_signed(body):
            return of.bundle  # some fields may be empty: that is another bundle of theirs, and no attack
    elif kind == 3:
        body = b"[" * chance.randrange(1, 200_000) + body
    else:
        values = json.loads(body)
        number = chance.randrange(len(values["files"]))
        values["files"][number] |= chance.choice(
            [{"name": "../../x"}, {"bytes": 10**9}, {"bytes": 1}, {"sha256": "0" * 64}, {"name": CENTRES + "x"}]
        )
        body = json.dumps(values, separators=(",", ":")).encode()
    envelope = enclose(body, {})
    for name in ("dora", "emil"):
        envelope = add_signature(envelope, person(name).private)
    return joined(named(split(of.bundle), 0, envelope))


def _may_be_signed(body: bytes) -> bool:
    with suppress(MessageError):
        jsontext.decode(body, Manifest)
        return True
    return False


def chain_changed(of: Sources, chance: random.Random) -> bytes:
    """Trust statements by themselves: bytes, order, versions left out, strangers' signatures, other JSON."""
    envelopes = list(split_chain(of.chain))
    kind = chance.randrange(6)
    if kind == 0:
        return chain(*envelopes[::-1])
    if kind == 1:
        return json.dumps(json.loads(of.chain), indent=chance.choice([None, 0, 2])).encode() + b"\n"
    if kind == 2:
        return chain(
            envelopes[0], signed(statement(2 + chance.randrange(9)), "mallory", chance.choice(["anna", "ben"]))
        )
    if kind == 3:
        return chain(envelopes[0], signed(statement(3 + chance.randrange(2**30))))
    if kind == 4:
        early = statement(2, expires_at=MONDAY - timedelta(days=1 + chance.randrange(1000)))
        return chain(envelopes[0], signed(early))
    return bytes_changed(of.chain, chance)


Maker = Callable[[Sources, random.Random], bytes]
MAKERS: tuple[tuple[str, Maker, int], ...] = (
    ("bytes", lambda of, chance: bytes_changed(of.bundle, chance), 8),
    ("headers", header_changed, 4),
    ("parts", parts_changed, 3),
    ("envelopes", envelope_changed, 3),
    ("three signatures", third_signature_changed, 2),
    ("signed by all", body_signed_by_all, 1),
    ("statements", chain_changed, 5),
)


class Judge:
    """A device's rules: the lab's first statement is held, channel `study`."""

    def __init__(self, folder: Path, of: Sources) -> None:
        self.of, self._file = of, folder / "mutant"
        self.trust = begin(chain(signed(statement())))
        self._authority = self.trust.authority("study")
        (folder / "given.json").write_bytes(chain(signed(statement())))
        more = f"bundle: {{trust: {folder / 'given.json'}, channel: study, target_groups: [test]}}\n"
        self.config = load_config(write_settings(folder, more=more))

    def accepts(self, mutant: bytes, *, is_chain: bool) -> bool:
        """Return whether the pure rules take it."""
        try:
            if is_chain:
                begin(mutant)
                return True
            self._file.write_bytes(mutant)
            found = read_bundle(self._file, self._authority)
            if found.chain is not None:
                self.trust.extended(split_chain(found.chain))
        except BundleError:
            return False
        return True

    def installs(self, mutant: bytes) -> bool:
        """Return whether the whole installer makes it the active bundle, or takes its statements."""
        self._file.write_bytes(mutant)
        clock = SteppedClock(MONDAY + timedelta(days=1))
        with (
            Installer(self.config, lambda _path, _keys: Verdict(problems=()), clock) as installer,
            self._file.open("rb") as file,
        ):
            return installer.install("lab.bundle", file.fileno()).result != "refused"


def run(line: Line, budget: int) -> None:
    """Make and judge so many mutants.

    Raises:
        Fault: one was accepted, took too long, or ended in something other than a refusal.
    """
    data = Path(__file__).parents[1] / "data"
    of = sources(read_bundle(data / "tiny.bundle", [(data / "tiny.pub").read_bytes()]))
    weights = [weight for _, _, weight in MAKERS]
    with quick_folder() as folder:
        judge = Judge(folder, of)
        if not (judge.accepts(of.bundle, is_chain=False) and judge.accepts(of.three, is_chain=False)):
            raise Fault(line.seed, "what the mutants are made of is not accepted itself")
        if not (judge.accepts(of.other, is_chain=False) and judge.accepts(of.chain, is_chain=True)):
            raise Fault(line.seed, "what the mutants are made of is not accepted itself")
        for number in range(budget):
            seed = line.seed + number
            chance = random.Random(seed)
            ((kind, make, _),) = chance.choices(MAKERS, weights)
            mutant = make(of, chance)
            if mutant in (of.bundle, of.three, of.other, of.chain):
                line.count("unchanged")
                line.done += 1
                continue
            begun_s = time.process_time()
            whole = number % WHOLE_EVERY == 0
            is_chain = kind == "statements"
            try:
                accepted = judge.installs(mutant) if whole else judge.accepts(mutant, is_chain=is_chain)
            except Exception as error:
                raise Fault(seed, f"{kind}: {type(error).__name__}: {error}") from error
            took_s = time.process_time() - begun_s
            if accepted:
                raise Fault(seed, f"{kind}: a mutant was accepted")
            if took_s > LIMIT_S:
                raise Fault(seed, f"{kind}: it took {took_s:.1f} s")
            line.keep_highest("slowest ms", round(1000 * took_s, 1))
            line.count(kind)
            line.count("installer", whole)
            line.done += 1


if __name__ == "__main__":
    main(run, "mutated bundles", "mutants", ci=2_000, full=1_000_000, chunk=10_000)
