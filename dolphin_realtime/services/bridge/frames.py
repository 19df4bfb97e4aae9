"""Frames on the pipes between the bridge and its reader: four bytes of length, then the payload."""

import struct
from typing import BinaryIO, Final

LENGTH: Final = struct.Struct(">I")


def send(stream: BinaryIO, payload: bytes) -> None:
    """Write one frame: four bytes of length, then the payload."""
    stream.write(LENGTH.pack(len(payload)) + payload)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Return the next frame's payload, None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])
