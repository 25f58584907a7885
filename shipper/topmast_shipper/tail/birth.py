"""When a file was made: what tells it from an earlier one whose inode number came again.

Only of file systems whose inodes keep that time for life: an overlay's is another one once the file is copied up, and
a server of a network may say what it likes. Constants: statx(2), statfs(2), <linux/stat.h>, <linux/magic.h>.
"""

import ctypes
import struct
from functools import lru_cache
from typing import Any

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
# struct statx: stx_mask is at byte 0, stx_btime (tv_sec, tv_nsec) at byte 80 of 256
_MASK = struct.Struct("I")
_TIME = struct.Struct("qI")
_TIME_AT = 80
# struct statfs begins with f_type and has 120 bytes at the most
_TYPE = struct.Struct("L")
_BUFFER_BYTES = 256
_KEEPS_IT = frozenset(
    {
        0xEF53,  # ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0xF2F52010,  # F2FS
        0xCA451A4E,  # bcachefs
        0x2FC12FC1,  # ZFS
        0x01021994,  # tmpfs
    }
)


def born_ns(descriptor: int, library: Any = None) -> int | None:
    """Return when an open file was made (Unix nanoseconds); None where that is not known for certain."""
    library = library or _library()
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
    try:
        # where there is no statx, what statfs writes may be of another shape and length
        statx, fstatfs = library.statx, library.fstatfs
    except AttributeError:
        return None  # an older C library, another system
    if fstatfs(descriptor, buffer) != 0 or _TYPE.unpack_from(buffer)[0] not in _KEEPS_IT:
        return None
    if statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return None
    seconds, rest = _TIME.unpack_from(buffer, _TIME_AT)
    known = _MASK.unpack_from(buffer)[0] & _STATX_BTIME
    # an inode of a time when its file system did not write this down has a zero
    return seconds * 1_000_000_000 + rest if known and seconds else None


def differ(one: int | None, other: int | None) -> bool:
    """Return whether two times of birth are certainly those of two files."""
    return one is not None and other is not None and one != other


@lru_cache(maxsize=1)
def _library() -> Any:
    return ctypes.CDLL(None)
