"""The canary runs nothing but the installed program, and gives up what a hostile model could use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.bundle.canary import ask_canary, isolated
from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import GOLDEN_OUTPUTS
from tests.edge.bundle.device import PUBLIC, Device, golden_of_another

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data"
FORGED = """
import sys
open({trace!r}, "a").write(__name__)
sys.stdout.write('{{"problems":[],"invoke_ms":1.0,"memory_mb":1.0}}')
sys.stdout.flush()
import os
os._exit(0)
"""
PROBE = """
import ctypes, json, os, socket, sys, threading
from edge.bundle.sandbox import _filter_calls, _unshare, isolate
parent, writable = os.getppid(), sys.argv[1]
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); listening.listen(); port = listening.getsockname()[1]
kept = socket.socket()
done = isolate()
def in_a_thread():
    thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
steps = {
    "connect": lambda: socket.create_connection(("127.0.0.1", port), 2),
    "connect by an old socket": lambda: (kept.settimeout(2), kept.connect(("127.0.0.1", port))),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "write": lambda: open(os.path.join(writable, "new"), "w"),
    "cut": lambda: os.open(os.path.join(writable, "old"), os.O_WRONLY | os.O_TRUNC),
    "remove": lambda: os.unlink(os.path.join(writable, "old")),
    "rename": lambda: os.rename(os.path.join(writable, "old"), os.path.join(writable, "other")),
    "mode": lambda: os.chmod(os.path.join(writable, "old"), 0o777),
    "signal": lambda: os.kill(parent, 0),
    "run": lambda: os.execv(sys.executable, [sys.executable, "-c", "print('ran')"]),
    "fork": lambda: os.fork() or os._exit(0),
    "root": lambda: os.setuid(0) if os.getuid() else os.chroot("/"),
    "device": lambda: os.open("/dev/full", os.O_RDONLY),
    "read": lambda: open(__import__("edge").__file__).read(),
    "thread": in_a_thread,
    "null": lambda: os.write(os.open(os.devnull, os.O_WRONLY), b"x"),
}
outcomes = {}
for name, step in steps.items():
    if name in sys.argv[2].split():
        continue
    try:
        step(); outcomes[name] = "done"
    except OSError as error:
        outcomes[name] = error.strerror
found = {"isolate": done, "outcomes": outcomes, "user": os.geteuid(), "folder": os.getcwd()}
print(json.dumps(found | {"env": dict(os.environ)}))
"""


def probe(folder: Path, before: str = "", step: str = "isolate()", passing_over: str = "") -> dict:
    """Return what a program could still do after a step of the sandbox, but for what is passed over."""
    (folder / "old").write_text("x")
    folder.chmod(0o777)
    code = before + PROBE.replace("isolate()", step)
    done = subprocess.run(
        [*isolated(code), folder, passing_over], capture_output=True, text=True, timeout=300, cwd="/", env={}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("user", ["as it is", "ordinary"])
def test_what_a_hostile_model_could_use_is_gone(user: str, tmp_path: Path) -> None:
    before = ""
    if user == "ordinary":
        if os.geteuid() != 0:
            pytest.skip("only root can be another user")
        before = "import os, re, json, socket, threading, ctypes, encodings.idna, edge.bundle.sandbox\n"
        before += "os.setresgid(12345, 12345, 12345); os.setresuid(12345, 12345, 12345)\n"
    found = probe(tmp_path, before)
    assert {"new privileges", "system calls"} <= set(found["isolate"])
    if "namespaces" not in found["isolate"]:
        found["outcomes"].pop("device")
    if Path("/root") in Path(sys.executable).resolve().parents:
        found["outcomes"].pop("read")
    still = {what for what, outcome in found["outcomes"].items() if outcome == "done"}
    assert still - {"read"} == {"thread", "null"}, found
    assert (tmp_path / "old").read_text() == "x"
    assert (found["folder"], {name for name in found["env"] if name != "LC_CTYPE"}) == ("/", set())


def test_the_namespaces_alone_leave_no_network_and_nothing_to_write(tmp_path: Path) -> None:
    found = probe(tmp_path, step="[_unshare(ctypes.CDLL(None, use_errno=True))]", passing_over="run fork root")
    if not found["isolate"][0]:
        pytest.skip("this kernel or its settings allow no namespaces")
    assert found["outcomes"]["connect"] in ("Connection refused", "Network is unreachable")
    for what in ("write", "cut", "remove", "rename", "mode"):
        assert found["outcomes"][what] == "Read-only file system", what
    assert found["outcomes"]["device"] == "Permission denied"
    assert found["outcomes"]["null"] == "done"


def test_the_filter_alone_lets_no_socket_be_made_and_nothing_be_changed(tmp_path: Path) -> None:
    """As where namespaces are forbidden, by a setting of the system or by the unit."""
    found = probe(tmp_path, step="[ctypes.CDLL(None).prctl(38, 1, 0, 0, 0), _filter_calls(ctypes.CDLL(None))]")
    assert found["isolate"] == [0, True]
    for what in ("connect", "unix socket", "write", "cut", "remove", "rename", "mode", "signal", "run", "fork"):
        assert found["outcomes"][what] == "Operation not permitted", what
    assert found["outcomes"]["thread"] == found["outcomes"]["read"] == found["outcomes"]["null"] == "done"


def test_a_model_that_aborts_is_seen_to(tmp_path: Path) -> None:
    """The C library ends a program by a signal to itself, which the filter must let through."""
    code = "from edge.bundle.sandbox import isolate\nisolate()\nimport os\nos.abort()"
    verdict = ask_canary(DATA / "tiny.bundle", [PUBLIC], command=isolated(code))
    assert verdict.problems == ("canary: killed by SIGABRT",)


@pytest.mark.parametrize("where", ["beside the bundle", "where the command is typed", "PYTHONPATH"])
@pytest.mark.parametrize("module", ["numpy", "edge", "json"])
def test_a_module_that_lies_about_does_not_run(
    where: str, module: str, tmp_path: Path, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would run in the canary, and its verdict would be the canary's: this bundle's outputs are wrong."""
    device, lying = Device(tmp_path, tiny_bundle), tmp_path / "lying"
    lying.mkdir()
    trace = tmp_path / "trace"
    (lying / f"{module}.py").write_text(FORGED.format(trace=str(trace)))
    path = device.make(1, files={GOLDEN_OUTPUTS: golden_of_another(tiny_bundle)})
    bundle = path.rename(lying / path.name)
    if where == "where the command is typed":
        monkeypatch.chdir(lying)
        bundle = bundle.relative_to(lying)
    elif where == "PYTHONPATH":
        monkeypatch.setenv("PYTHONPATH", str(lying))
    verdict = ask_canary(bundle.absolute(), [PUBLIC])
    assert "golden input 0" in verdict.problems[0]
    assert not trace.exists()


def test_it_never_hears_more_than_it_can_hold() -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 10_000)"
    verdict = ask_canary(DATA / "tiny.bundle", [PUBLIC], command=[sys.executable, "-c", code])
    assert "expected a verdict of at most" in verdict.problems[0]


def test_a_good_bundle_passes_in_all_this(tmp_path: Path) -> None:
    assert ask_canary(DATA / "tiny.bundle", [(DATA / "tiny.pub").read_bytes()]).problems == ()
