"""Fingerprints of a file's first and last bytes, and the stream id that follows from them.

Facts: SHIPPING.md section 5 (inode reuse, identical headers, tiny files). A fixed-size head fingerprint never
ships a small file, and one that grows inside the id makes a re-sent line a new document; so the id takes the
first complete line only, and the growing head and the tail are compared, never named.
"""

import base64
import hashlib

# A head of 1,024 bytes tells apart what rotation produces; Filebeat takes the same length.
HEAD_BYTES = 1024
# Enough to notice that a file was truncated and grew past our offset again.
TAIL_BYTES = 256


def digest(data: bytes) -> str:
    """Return 16 hexadecimal characters that stand for the bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def first_line(head: bytes) -> bytes | None:
    """Return what fixes the stream: the first line with its newline, at most 1,024 bytes; None while unfinished."""
    end = head.find(b"\n", 0, HEAD_BYTES)
    if end >= 0:
        return head[: end + 1]
    return head[:HEAD_BYTES] if len(head) >= HEAD_BYTES else None


def stream_id(device: int, inode: int, line: bytes) -> str:
    """Return 16 characters of base32hex (lower case) that name the file for ever."""
    hashed = hashlib.blake2b(f"{device}:{inode}:".encode() + line, digest_size=10).digest()
    return base64.b32hexencode(hashed).decode("ascii").lower()
