"""What the canary gives up before it looks at a bundle: network, devices, writing, other processes, privileges.

Only the kernel is used, by its own calls, and each step that it does not allow is passed over: under systemd the unit
has taken the same away already, and forbids namespaces. What was done is returned by name.

- namespaces: network, mounts, IPC; every mount read-only, no device but `/dev/null`. An ordinary user gets them within
  a user namespace of its own, where the system allows one.
- root becomes `nobody`; where only root can read the program (a checkout in `/root`), it stays root without any
  capability.
- seccomp: a filter that refuses sockets, new programs, new processes, signals to others, writing, mounting, and the
  rarer parts of the kernel. x86-64 and ARM, 64 and 32 bits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534
_NEWNS, _NEWIPC, _NEWUSER, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_MS_BIND = 0x1000
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_SETATTR = -100, 0x8000, 442
_READ_ONLY, _NO_SUID, _NO_DEVICES = 1, 2, 4
_SET_PDEATHSIG, _SET_SECCOMP, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 22, 24, 38
_FILTER_MODE = 2
_CAPABILITY_VERSION = 0x20080522

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "arm": 0x40000028}
_REFUSED = {
    # Network.
    "socket": (41, 198, 281),
    "socketpair": (53, 199, 288),
    "connect": (42, 203, 283),
    "bind": (49, 200, 282),
    # Programs and processes. `clone` is let through for threads alone, see below.
    "execve": (59, 221, 11),
    "execveat": (322, 281, 387),
    "fork": (57, None, 2),
    "vfork": (58, None, 190),
    "ptrace": (101, 117, 26),
    "process_vm_readv": (310, 270, 376),
    "process_vm_writev": (311, 271, 377),
    "kill": (62, 129, 37),
    "tkill": (200, 130, 238),
    "rt_sigqueueinfo": (129, 138, 178),
    "rt_tgsigqueueinfo": (297, 240, 363),
    "pidfd_send_signal": (424, 424, 424),
    "pidfd_open": (434, 434, 434),
    "pidfd_getfd": (438, 438, 438),
    # Writing. `open` and `openat` are let through where they neither make nor cut a file, see below; a limit of zero on
    # the size of files refuses what would then be written into one. (The model's runtime writes to `/dev/null`.)
    "creat": (85, None, 8),
    "unlink": (87, None, 10),
    "unlinkat": (263, 35, 328),
    "rmdir": (84, None, 40),
    "rename": (82, None, 38),
    "renameat": (264, 38, 329),
    "renameat2": (316, 276, 382),
    "mkdir": (83, None, 39),
    "mkdirat": (258, 34, 323),
    "link": (86, None, 9),
    "linkat": (265, 37, 330),
    "symlink": (88, None, 83),
    "symlinkat": (266, 36, 331),
    "mknod": (133, None, 14),
    "mknodat": (259, 33, 324),
    "chmod": (90, None, 15),
    "fchmod": (91, 52, 94),
    "fchmodat": (268, 53, 333),
    "fchmodat2": (452, 452, 452),
    "chown": (92, None, 212),
    "fchown": (93, 55, 207),
    "lchown": (94, None, 198),
    "fchownat": (260, 54, 325),
    "truncate": (76, 45, 193),
    "ftruncate": (77, 46, 194),
    "setxattr": (188, 5, 226),
    "lsetxattr": (189, 6, 227),
    "fsetxattr": (190, 7, 228),
    "removexattr": (197, 14, 235),
    "lremovexattr": (198, 15, 236),
    "fremovexattr": (199, 16, 237),
    "utimensat": (280, 88, 348),
    # What changes the system, and what makes its kernel's surface larger.
    "mount": (165, 40, 21),
    "umount2": (166, 39, 52),
    "pivot_root": (155, 41, 218),
    "chroot": (161, 51, 61),
    "unshare": (272, 97, 337),
    "setns": (308, 268, 375),
    "open_tree": (428, 428, 428),
    "move_mount": (429, 429, 429),
    "fsopen": (430, 430, 430),
    "mount_setattr": (442, 442, 442),
    "open_by_handle_at": (304, 265, 371),
    "bpf": (321, 280, 386),
    "perf_event_open": (298, 241, 364),
    "add_key": (248, 217, 309),
    "request_key": (249, 218, 310),
    "keyctl": (250, 219, 311),
    "io_uring_setup": (425, 425, 425),
    "userfaultfd": (323, 282, 388),
    "init_module": (175, 105, 128),
    "finit_module": (313, 273, 379),
    "delete_module": (176, 106, 129),
    "kexec_load": (246, 104, 347),
    "reboot": (169, 142, 88),
    "swapon": (167, 224, 87),
}
_UNKNOWN = {"clone3": 435, "openat2": 437}
"""Calls whose arguments a filter cannot see: reported as missing, so that the C library takes the older ones."""
_CLONE, _TGKILL, _OPEN, _OPENAT = (56, 220, 120), (234, 131, 268), (2, None, 5), (257, 56, 322)
_CLONE_THREAD = 0x00010000
_WRITING = os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Not `O_WRONLY`; without `O_RDWR` no file can be mapped to be written."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def isolate() -> list[str]:
    """Give up what the kernel lets be given up, for good, and return the names of what is gone.

    Call it before anything else is loaded: threads that exist already are not covered.
    """
    if not sys.platform.startswith("linux"):
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    done = [name for name, step in (("namespaces", _unshare), ("root", _drop_root)) if step(libc)]
    # After the change of user, which clears it: whoever asked may be killed, and then nobody waits for the verdict.
    libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        done.append("new privileges")
        done += ["system calls"] if _filter_calls(libc) else []
    return done


def _unshare(libc: ctypes.CDLL) -> bool:
    """Return whether network, IPC and mounts are this process's own, the mounts read-only and without devices."""
    wanted = _NEWNET | _NEWIPC | _NEWNS
    user, group = os.getuid(), os.getgid()
    if libc.unshare(wanted) != 0:
        if user == 0 or libc.unshare(wanted | _NEWUSER) != 0:
            return False
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    libc.mount(b"/dev/null", b"/dev/null", None, _MS_BIND, None)
    for place, flags, of_set, of_clear in (
        (b"/", _AT_RECURSIVE, _READ_ONLY | _NO_SUID | _NO_DEVICES, 0),
        (b"/dev/null", 0, 0, _NO_DEVICES),
    ):
        attributes = struct.pack("=QQQQ", of_set, of_clear, 0, 0)
        libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, place, flags, attributes, len(attributes))  # from Linux 5.12
    return True


def _drop_root(libc: ctypes.CDLL) -> bool:
    """Return whether this process has neither root's identity nor a capability, or at least the latter."""
    if os.geteuid() == 0:
        for capability in range(64):
            libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
        if all(_open_to_all(Path(place)) for place in _program()):
            with contextlib.suppress(OSError):  # a container may know no other user, or not let root become one
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
    head, none = struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)
    return bool(libc.capset(head, none) == 0)


def _program() -> Iterator[str]:
    """The folders of which this program's modules are loaded, later on, too."""
    yield from (place for place in sys.path if place)
    yield os.fspath(Path(__file__).parent)


def _open_to_all(folder: Path) -> bool:
    """Return whether anybody may look into a folder; one that is not there hinders nobody."""
    try:
        place = folder.resolve()
        if place.is_file():
            return bool(place.stat().st_mode & 0o004) and _open_to_all(place.parent)
        if not place.exists():
            return True
        return place.stat().st_mode & 0o005 == 0o005 and all(p.stat().st_mode & 0o001 for p in place.parents)
    except OSError:
        return False


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Return whether the filter is in force; it holds for this process and all threads that it begins from now on."""
    machine = os.uname().machine
    if ctypes.sizeof(ctypes.c_void_p) == 4:
        machine = "arm" if machine.startswith(("arm", "aarch64")) else ""
    if machine not in _ARCHITECTURES:
        return False
    code = _code(machine)
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)


def _code(machine: str) -> bytes:
    """Return the filter in classic BPF, 8 bytes an instruction (linux/seccomp.h, linux/filter.h)."""
    column = list(_ARCHITECTURES).index(machine)
    load, equal, at_least, any_bit, end = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38

    def one(operation: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", operation, then, otherwise, value)

    def argument(index: int) -> bytes:
        return one(load, 16 + 8 * index)  # the low half: both byte orders in use are little-endian

    parts = [one(load, 4), one(equal, _ARCHITECTURES[machine], 1, 0), one(end, refuse), one(load, 0)]
    if machine == "x86_64":
        parts += [one(at_least, 0x40000000, 0, 1), one(end, refuse)]  # the same calls by their x32 numbers
    numbers = [row[column] for row in _REFUSED.values()]
    for number, answer in [(n, refuse) for n in numbers if n is not None] + [(n, unknown) for n in _UNKNOWN.values()]:
        parts += [one(equal, number, 0, 1), one(end, answer)]
    for row, index, test, value, answers in (
        (_CLONE, 0, any_bit, _CLONE_THREAD, (allow, refuse)),
        (_TGKILL, 0, equal, os.getpid(), (allow, refuse)),
        (_OPEN, 1, any_bit, _WRITING, (refuse, allow)),
        (_OPENAT, 2, any_bit, _WRITING, (refuse, allow)),
    ):
        looked_at = row[column]
        if looked_at is not None:
            parts += [one(equal, looked_at, 0, 4), argument(index), one(test, value, 0, 1)]
            parts += [one(end, answer) for answer in answers]
    return b"".join([*parts, one(end, allow)])
