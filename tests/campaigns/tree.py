"""Files that are no database's, as a disk keeps them: names and contents each last only once they were synced.

`watched_tree` sees what a program does to the files under a folder, through the very functions of `os` that it calls;
`Tree` takes that in and draws what a power cut may leave. A name lasts once its folder was synced, a content once its
file was; before that a file may be there empty, in part, or not at all, and one that was deleted may be there again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened. to: of a rename; content: then.

    what: create, sync, rename, unlink, mkdir or sync folder.
    """

    what: str
    path: str
    to: str = ""
    content: bytes = b""


@dataclass(eq=False, slots=True)
class Node:
    """A file, whatever its name. loose: what was written; synced: what surely lasts; None of either for a folder."""

    loose: bytes | None = None
    synced: bytes | None = None


@dataclass(slots=True)
class Tree:
    """Takes in changes in their order. Paths are relative to the folder."""

    live: dict[str, Node] = field(default_factory=dict)
    lasting: dict[str, Node] = field(default_factory=dict)
    pending: dict[str, list[tuple[str, Node | None]]] = field(default_factory=dict)

    @classmethod
    def of(cls, left: dict[str, bytes | None]) -> Tree:
        """Return a tree that lasts as it is; None for a folder."""
        nodes = {path: Node(content, content) for path, content in left.items()}
        return cls(dict(nodes), dict(nodes))

    def see(self, change: Change) -> None:
        if change.what == "sync folder":
            for path, node in self.pending.pop(change.path, []):
                _set(self.lasting, path, node)
        elif change.what == "create":
            self.live[change.path] = Node(b"")
            self._name(change.path, self.live[change.path])
        elif change.what == "sync":
            node = self.live.setdefault(change.path, Node())
            node.loose = node.synced = change.content
        elif change.what == "rename":
            node = self.live.pop(change.path, None) or Node()
            node.loose = change.content
            self.live[change.to] = node
            self._name(change.to, node)
        elif change.what == "unlink":
            self.live.pop(change.path, None)
            self._name(change.path, None)
        else:
            self.live[change.path] = Node()
            self._name(change.path, self.live[change.path])

    def after_cut(self, chance: random.Random) -> dict[str, bytes | None]:
        """Return path -> content; None for a folder."""
        names = dict(self.lasting)
        for changes in self.pending.values():
            for path, node in changes[: chance.randrange(len(changes) + 1)]:
                _set(names, path, node)
        folders = {path for path, node in names.items() if node.loose is None and node.synced is None}
        left: dict[str, bytes | None] = {}
        for path, node in names.items():
            above = [str(parent) for parent in Path(path).parents if str(parent) != "."]
            if all(parent in folders for parent in above):
                left[path] = None if path in folders else _content(node, chance)
        return left

    def _name(self, path: str, node: Node | None) -> None:
        self.pending.setdefault(str(Path(path).parent), []).append((path, node))


def _set(names: dict[str, Node], path: str, node: Node | None) -> None:
    if node is None:
        names.pop(path, None)
    else:
        names[path] = node


def _content(node: Node, chance: random.Random) -> bytes:
    loose = node.loose or b""
    if node.synced is None and not loose:  # just made: what was written into it so far nobody has seen
        return chance.choice((b"", chance.randbytes(100)))
    if node.synced is not None and node.synced == loose:
        return loose
    return chance.choice((b"", loose, loose[: chance.randrange(len(loose) + 1)], bytes(len(loose))))


def lay_out_tree(folder: Path, left: dict[str, bytes | None]) -> None:
    """Write a state into a folder."""
    for path in sorted(left):
        content = left[path]
        if content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


@contextmanager
def watched_tree(root: Path, see: Callable[[Change], object]) -> Iterator[None]:
    """Call `see` with all that this process does to the names under a folder, and of what it syncs there."""
    real = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "unlink", "remove", "mkdir", "open")}
    top = str(root.resolve())

    def inside(path: Any) -> str | None:
        full = os.path.abspath(os.fspath(path))
        return os.path.relpath(full, top) if full == top or full.startswith(top + "/") else None

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        path = inside(place)
        if path is not None:
            folder = Path(place).is_dir()
            see(Change("sync folder", path) if folder else Change("sync", path, content=Path(place).read_bytes()))

    def moved(name: str) -> Callable[..., None]:
        def move(source: Any, target: Any, **others: Any) -> None:
            real[name](source, target, **others)
            before, after = inside(source), inside(target)
            if before is not None and after is not None:
                see(Change("rename", before, after, Path(os.fspath(target)).read_bytes()))

        return move

    def gone(name: str) -> Callable[..., None]:
        def remove(path: Any, **others: Any) -> None:
            real[name](path, **others)
            found = inside(path)
            if found is not None and not others:
                see(Change("unlink", found))

        return remove

    def mkdir(path: Any, *others: Any, **named: Any) -> None:
        real["mkdir"](path, *others, **named)
        found = inside(path)
        if found is not None:
            see(Change("mkdir", found))

    def opened(path: Any, flags: int, *others: Any, **named: Any) -> int:
        new = bool(flags & os.O_CREAT) and not os.path.exists(path)
        descriptor: int = real["open"](path, flags, *others, **named)
        found = inside(path)
        if new and found is not None:
            see(Change("create", found))
        return descriptor

    ours = {"fsync": fsync, "mkdir": mkdir, "open": opened}
    ours |= {name: moved(name) for name in ("replace", "rename")} | {name: gone(name) for name in ("unlink", "remove")}
    with mock.patch.multiple(os, **ours):
        yield
