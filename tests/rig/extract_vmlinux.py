"""extract_vmlinux.py BZIMAGE VMLINUX: unpack a bzImage's kernel ELF (xz, gzip or zstd).

By the boot protocol's own fields: setup_sects (0x1f1), payload_offset (0x248), payload_length (0x24c).
"""

import lzma
import struct
import subprocess
import sys
import zlib
from pathlib import Path


def extract(image: bytes) -> bytes:
    assert image[0x202:0x206] == b"HdrS", "not a bzImage"
    start = ((image[0x1F1] or 4) + 1) * 512 + struct.unpack_from("<I", image, 0x248)[0]
    payload = image[start : start + struct.unpack_from("<I", image, 0x24C)[0]]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload)
    assert payload[:4] == b"\x28\xb5\x2f\xfd", f"unknown payload {payload[:6].hex()}"
    # The size that follows the payload makes zstd end with code 1.
    return subprocess.run(["zstd", "-dc"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


if __name__ == "__main__":
    kernel = extract(Path(sys.argv[1]).read_bytes())
    assert kernel[:4] == b"\x7fELF"
    Path(sys.argv[2]).write_bytes(kernel)
