"""A record's body as the table `records` keeps it: deflated with a dictionary, or as it is where that is shorter.

Every body is a JSON object whose keys are the contract's, so that most of it stands in the dictionary already: of a
real reading of 1,736 bytes 440 are left, against 960 without one. zstd with a dictionary of as little leaves no less;
one that is trained on a lab's own readings leaves 190, but it would have to be kept in the database, where one flipped
bit would take every body with it, and zstd is one more dependency.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Final

from edge.contract.base import MAX_RECORD_BYTES

_DEFLATED: Final = b"\x01"
"""First byte of a body deflated with `DICTIONARY`. JSON objects begin with `{`; a later dictionary has another byte."""
_RAW: Final = -15

DICTIONARY: Final = (
    b'{"schema":"cageclock/lost/1"{"schema":"cageclock/lost-ranges/2"{"schema":"cageclock/clock/1","of_boot_id":"'
    b'"offset_s":,"epoch_offset_s":,"uncertainty_s":,"what":"record","what":"thumbnail","of_epoch":"","first_seq":1,'
    b'"last_seq":1,"ranges":[["reason":"no space","recorded_at":"2026-'
    b'{"schema":"cageclock/event/1","device_id":"cage-","recorded_at":"2026-01-01T00:00:00.000000Z","boot_id":"'
    b'","monotonic_s":1.0,"clock_synced":true,"code":"epoch_begun","text":"a new epoch","detail":{"before":"","last":,'
    b'"starts":,"reason":"start"}}"code":"start","text":"capture began","detail":{}}"camera_moved""camera_changed"'
    b'"model_changed""gap""planned":true,false,null0.0250.050.10.20.30.40.50.60.70.80.9'
    b'"dark","overexposed","blurred","obstructed","stale_frame","no_mouse","in_nest","camera_fault","model_fault",'
    b'"detail":"no animal in view","accepted":false,"age_days":null,"animals":[],'
    b'"reject_reasons":["out_of_domain","too_uncertain"],"trigger":"command","light":"unknown","zeitgeber_h":null,'
    b'{"schema":"cageclock/reading/1","device_id":"cage-01","cage_id":"cage-01","captured_at":"2026-01-01T00:00:00.000000Z",'
    b'"boot_id":"","monotonic_s":1000.0,"clock_synced":true,"light":"light","zeitgeber_h":10.,"trigger":"schedule",'
    b'"request_id":null,"outcome":"ok","detail":"","accepted":true,"age_days":300.0,"animals":[{"box":[100.0,80.0,260.0,180.0],'
    b'"centre_likelihood":0.97,"keypoints":[{"name":"snout","x":,"y":,"likelihood":0.9},{"name":"left_ear","x":,"y":,'
    b'"likelihood":0.9},{"name":"right_ear","x":,"y":,"likelihood":0.9},{"name":"tail_base","x":,"y":,"likelihood":0.9}],'
    b'"subject":"M1","identity_method":"single_housed","identity_confidence":1.0,"accepted":true,"reject_reasons":[],'
    b'"age_days":300.0,"estimate":{"age_days":300.0,"sd_days":40.0,"interval_low_days":220.0,"interval_high_days":380.0,'
    b'"coverage":0.9,"domain_score":0.5,"distribution":[0.0,0.0,0.0,0.0,0.0],"embedding":[0.0,-0.0,0.1,-0.1,0.0]},'
    b'"crop_sha256":[]}],"subject":null,"identity_method":"none","identity_confidence":null,'
    b'"expected_animals":1,"strain":"C57BL/6J","frames":1,"px_per_mm":4.0,"quality":{"mean_grey":120.0,"dark_fraction":0.0,'
    b'"saturated_fraction":0.0,"sharpness":80.0,"contrast":30.0,"covered_fraction":0.0,"reference_shift_px":null,"flags":[]},'
    b'"camera":{"backend":"picamera2","model":"imx708_noir","width":4608,"height":2592,"exposure_us":20000,'
    b'"analogue_gain":1.0,"digital_gain":1.0,"colour_gains":[1.0,1.0],"lens_position":8.0,"lux":10.0,"focus_measure":100,'
    b'"sensor_temperature_c":30.0,"tuning_file":"imx708_noir.json","settled":true,"not_applied":[],"source":null},'
    b'"exposure_us":null,"analogue_gain":null,"digital_gain":null,"colour_gains":null,"lens_position":null,"lux":null,'
    b'"focus_measure":null,"sensor_temperature_c":null,"tuning_file":null,"settled":true,'
    b'"model":{"name":"cageclock","model_version":"1","release":1,"sha256":"","preprocess_version":"2",'
    b'"runtime":"ai-edge-litert 2.","notice":"trained on simulated mice; no biological claim"},'
    b'"thumbnail":{"sha256":"","bytes":12000,"width":640,"height":480},"thumbnail":null,"timings":{"capture_ms":2000.0,"observe_ms":400.0,'
    b'"model_ms":100.0},"config_sha256":"","quality":null,"camera":null,"model":null'
)
"""Never changed, or every stored body is lost: what deserves another text gets another first byte. The most frequent
stands last, where its distance is shortest."""


@cache
def _primed() -> zlib._Compress:
    """Return a compressor that has read the dictionary; a copy of it is sooner made than another.

    A window of 4 kB and a small memory leave as little as the largest, because what helps is the dictionary.
    """
    return zlib.compressobj(6, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)


def pack_body(body: bytes) -> bytes:
    """Return a body, a JSON object, as it is stored."""
    deflate = _primed().copy()
    packed = _DEFLATED + deflate.compress(body) + deflate.flush()
    return packed if len(packed) < len(body) else body


def unpack_body(stored: bytes) -> bytes:
    """Return the body that `pack_body` was given, at most 256 kB of it.

    Raises:
        ValueError: these bytes are none that `pack_body` returned.
    """
    if not stored.startswith(_DEFLATED):
        return stored
    inflate = zlib.decompressobj(_RAW, DICTIONARY)
    try:
        body = inflate.decompress(stored[1:], MAX_RECORD_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"expected a deflated body, got bytes that are none: {error}") from error
    if not inflate.eof or inflate.unused_data:
        raise ValueError("expected a deflated body, got one that does not end where it should")
    return body
