"""Run inside a unit's sandbox: try what must not work, print one `name: outcome` line for each try."""

import os
import socket
import sys


def attempt(name: str, work) -> None:
    try:
        work()
        print(f"{name}: done", flush=True)
    except OSError as error:
        print(f"{name}: {type(error).__name__} {error.errno}", flush=True)


def connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        one.connect(("127.0.0.1", 8883))


def write(path: str):
    def work() -> None:
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)

    return work


def rename(path: str):
    def work() -> None:
        os.rename(path, f"{path}.moved")
        os.rename(f"{path}.moved", path)

    return work


def read(path: str):
    return lambda: os.close(os.open(path, os.O_RDONLY))


def main() -> None:
    attempt("network", connect)
    attempt("raw socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
    attempt("camera", lambda: os.close(os.open("/dev/video0", os.O_RDWR)))
    attempt("disk", read("/dev/vda"))
    for place in ("/etc", "/usr", "/root", "/home", "/var/lib", "/var/log", "/opt/cageclock", "/run", "/boot"):
        attempt(f"write {place}", write(f"{place}/probe"))
    for place in ("", "/capture", "/capture/thumbnails", "/publish", "/bundles", "/inbox"):
        attempt(f"write state{place}", write(f"/var/lib/cageclock{place}/probe"))
    for place in ("/capture/capture.json", "/publish/delivery.lock", "/bundles", "/inbox"):
        attempt(f"rename state{place}", rename(f"/var/lib/cageclock{place}"))
    attempt("mailbox", lambda: os.close(os.open("/dev/vcio", os.O_RDONLY)))
    attempt("read a key", read("/etc/cageclock/device.key"))
    attempt("read the station", read("/var/lib/cageclock-station/station.db"))
    attempt("signal init", lambda: os.kill(1, 0))
    attempt("set the clock", lambda: __import__("time").clock_settime(0, 1.0))
    attempt("mount", lambda: os.mkdir("/tmp/m") or _mount())


def _mount() -> None:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"tmpfs", b"/tmp/m", b"tmpfs", 0, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main())
