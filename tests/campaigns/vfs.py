"""A SQLite file system under this very process's `sqlite3`: every write, truncation and sync is seen, and may fail.

The product's own connections go through it unchanged. SQLite asks a table of functions (`sqlite3_io_methods`) for all
that it does with a file; here the table of the default file system is copied, and four of its entries lead to Python.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
_WRITE = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, _LONG)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _POINTER, _LONG)
_SYNC = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)
_CLOSE = ctypes.CFUNCTYPE(_INT, _POINTER)
_OPEN = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)  # SQLite keeps the name's address
_DELETE = ctypes.CFUNCTYPE(_INT, _POINTER, ctypes.c_char_p, _INT)

_OK, _FULL = 0, 13
_SLOT = ctypes.sizeof(_POINTER)
_METHODS = 19
"""Pointers in `sqlite3_io_methods` of version 3, the number in front counted as one."""
_AT_CLOSE, _AT_WRITE, _AT_TRUNCATE, _AT_SYNC = 1, 3, 4, 5


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", _INT),
        ("file_bytes", _INT),
        ("longest_path", _INT),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
        ("delete", _POINTER),
        ("others", _POINTER * 13),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a file. what: write, truncate, sync or delete; at: offset, or length to cut to."""

    what: str
    path: str
    at: int = 0
    data: bytes = b""


class WatchedFiles:
    """Registered once a process, as SQLite's default. `see` gets each step; `refuse` makes one fail as full."""

    def __init__(self) -> None:
        """Take the default file system's place.

        Raises:
            RuntimeError: this Python's sqlite3 does not use a shared library.
        """
        self.see: Callable[[Step], None] = lambda _step: None
        self.refuse: Callable[[Step], bool] = lambda _step: False
        self._library = ctypes.CDLL(_library_path())
        self._library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self._base = self._library.sqlite3_vfs_find(None)
        self._paths: dict[int, str] = {}
        self._tables: dict[int, tuple[Any, ...]] = {}
        self._vfs = _Vfs.from_buffer_copy(self._base.contents)
        self._vfs.name, self._vfs.next = b"watched", None
        self._open_there = _OPEN(self._base.contents.open)
        self._delete_there = _DELETE(self._base.contents.delete)
        self._open_here, self._delete_here = _OPEN(self._open), _DELETE(self._delete)
        self._vfs.open = ctypes.cast(self._open_here, _POINTER)
        self._vfs.delete = ctypes.cast(self._delete_here, _POINTER)
        if self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) != _OK:
            raise RuntimeError("expected SQLite to take another file system, got a refusal")

    def _open(self, _vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        code: int = self._open_there(ctypes.cast(self._base, _POINTER), name, file, flags, out)
        methods = _POINTER.from_address(file).value
        if code == _OK and name and methods:
            self._paths[file] = ctypes.string_at(name).decode()
            _POINTER.from_address(file).value = self._table(methods)
        return code

    def _delete(self, _vfs: int, name: bytes, sync: int) -> int:
        step = Step("delete", name.decode())
        self.see(step)
        return int(self._delete_there(ctypes.cast(self._base, _POINTER), name, sync))

    def _table(self, address: int) -> int:
        """Return the address of the copy of a table of functions, with ours in it."""
        if address not in self._tables:
            copy = (_POINTER * _METHODS).from_buffer_copy((_POINTER * _METHODS).from_address(address))
            write, truncate = _WRITE(copy[_AT_WRITE]), _TRUNCATE(copy[_AT_TRUNCATE])
            sync, close = _SYNC(copy[_AT_SYNC]), _CLOSE(copy[_AT_CLOSE])
            paths = self._paths

            def on_write(file: int, data: int, size: int, at: int) -> int:
                step = Step("write", paths[file], at, ctypes.string_at(data, size))
                return _FULL if self._refused(step) else int(write(file, data, size, at))

            def on_truncate(file: int, size: int) -> int:
                step = Step("truncate", paths[file], size)
                return _FULL if self._refused(step) else int(truncate(file, size))

            def on_sync(file: int, flags: int) -> int:
                code = int(sync(file, flags))
                if code == _OK:
                    self.see(Step("sync", paths[file]))
                return code

            def on_close(file: int) -> int:
                paths.pop(file, None)
                return int(close(file))

            ours = (_WRITE(on_write), _TRUNCATE(on_truncate), _SYNC(on_sync), _CLOSE(on_close))
            places = (_AT_WRITE, _AT_TRUNCATE, _AT_SYNC, _AT_CLOSE)
            for place, function in zip(places, ours, strict=True):
                copy[place] = ctypes.cast(function, _POINTER).value
            self._tables[address] = (copy, ours, write, truncate, sync, close)
        return ctypes.addressof(self._tables[address][0])

    def _refused(self, step: Step) -> bool:
        if self.refuse(step):
            return True
        self.see(step)
        return False


_WATCHED: list[WatchedFiles] = []


def watched_files() -> WatchedFiles:
    """Return this process's one, seeing and refusing nothing."""
    if not _WATCHED:
        _WATCHED.append(WatchedFiles())
    files = _WATCHED[0]
    files.see, files.refuse = lambda _step: None, lambda _step: False
    return files


def _library_path() -> str:
    sqlite3.connect(":memory:").close()
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "/libsqlite3" in path:
            return path
    raise RuntimeError("expected a Python whose sqlite3 uses the shared libsqlite3, got one that has it built in")
