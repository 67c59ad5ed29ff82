"""Stored pictures in place of a camera, once or over and over, at the schedule's pace or their own.

The pictures keep their own size: `camera.px_per_mm` belongs to it. Each has its name in `state.source`, so that every
reading names its picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.camera.pictures import Pictures, Stored, open_pictures
from edge.camera.protocol import Shot
from edge.config.tree import Camera, ReplaySettings
from edge.contract.base import Scalar
from edge.contract.reading import CameraState
from edge.errors import CameraMissing, EndOfReplay, UnreadablePicture
from edge.timing.clock import Clock
from edge.vision.frame import Frame, Image
from edge.vision.observe import LEAST_PX


class ReplayCamera:
    """Shows stored pictures as a camera would."""

    def __init__(self, camera: Camera, clock: Clock) -> None:
        """Nothing is read until `open`."""
        if camera.replay is None:
            raise CameraMissing("camera.replay: expected a section with the path of the pictures, got nothing")
        self._camera = camera
        self._settings: ReplaySettings = camera.replay
        self._clock = clock
        self._pictures: Pictures | None = None
        self._row: Iterator[Stored] = iter(())
        self._next: Stored | None = None
        self._shown: Stored | None = None
        self._unreadable = 0
        self._passes = 0
        self._began_at_s = 0.0
        self._size: tuple[int, int] | None = None

    def open(self) -> None:
        """Find the pictures. After a `close`, the replay goes on where it was.

        Raises:
            CameraMissing: nothing is there, or nothing can decode it.
        """
        if self._pictures is None:
            try:
                self._pictures = open_pictures(Path(self._settings.path), self._settings.frames_per_s)
            except CameraMissing as error:
                raise CameraMissing(f"camera.replay.path: {error}") from error
            self._begin_pass(self._pictures)

    def capture(self, shot: Shot) -> Frame:
        """Return the next picture that is due.

        Raises:
            EndOfReplay: none is left and the replay does not loop.
            UnreadablePicture: this one cannot be read, or is too small to measure anything; the next capture goes on
                behind it.
        """
        self.open()
        assert self._pictures is not None
        shown = self._shown = self._advance(self._pictures)
        try:
            main = _measurable(shown)
        except UnreadablePicture:
            self._unreadable += 1
            raise
        height, width = main.shape[:2]
        self._size = (width, height)
        source = shown.name if self._passes == 1 else f"{shown.name} (pass {self._passes})"
        return Frame(
            main=main,
            triggered_at_s=shot.triggered_at_s,
            exposed_at_s=self._clock.monotonic_s(),
            state=CameraState(backend="replay", model="stored pictures", width=width, height=height, source=source),
            px_per_mm=self._camera.px_per_mm,
            small_width=self._camera.small_width,
        )

    def flush(self) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """Keep the place: a reopened replay goes on."""

    def describe(self) -> dict[str, Scalar]:
        """Return backend, path and how it is gone through."""
        found: dict[str, Scalar] = {"backend": "replay", "model": "stored pictures", "path": self._settings.path}
        if self._size is not None:
            found |= {"width": self._size[0], "height": self._size[1]}
        return found | {"pace": self._settings.pace, "loop": self._settings.loop, "every": self._settings.every}

    def _begin_pass(self, pictures: Pictures) -> None:
        self._row = (one for one in pictures if one.number % self._settings.every == 0)
        self._next = next(self._row, None)
        self._shown = None
        self._passes += 1
        self._began_at_s = self._clock.monotonic_s()

    def _advance(self, pictures: Pictures) -> Stored:
        """Return the picture that is due: the next `every`-th, and at their own pace the one whose time has come.

        A replay at its own pace never shows one picture twice.
        """
        if self._next is None:
            if self._shown is None:
                raise CameraMissing(f"camera.replay.path: {self._settings.path} holds no picture")
            if not self._settings.loop:
                raise EndOfReplay(f"{self._settings.path}: no more pictures{self._counted(pictures)}")
            self._begin_pass(pictures)
            if self._next is None:
                raise CameraMissing(f"camera.replay.path: {self._settings.path} holds no picture any more")
        due = self._take_next()
        if self._settings.pace == "own":
            elapsed_s = self._clock.monotonic_s() - self._began_at_s
            while self._next is not None and self._next.time_s <= elapsed_s:
                due = self._take_next()
        return due

    def _take_next(self) -> Stored:
        assert self._next is not None
        taken, self._next = self._next, next(self._row, None)
        return taken

    def _counted(self, pictures: Pictures) -> str:
        """Return what could not be read and what was passed over, as text."""
        notes = [f"{self._unreadable} could not be read"] if self._unreadable else []
        notes += [f"passed over: {pictures.passed_over}"] if pictures.passed_over else []
        notes += [pictures.shortfall] if pictures.shortfall else []
        return "".join(f"; {one}" for one in notes)


def _measurable(stored: Stored) -> Image:
    main = stored.read()
    height, width = main.shape[:2]
    if min(height, width) < LEAST_PX:
        raise UnreadablePicture(
            f"{stored.name}: expected at least {LEAST_PX} x {LEAST_PX} pixels, got {width} x {height}"
        )
    return main
