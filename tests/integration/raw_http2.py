"""Calls that no gRPC library would make: HTTP/2 frames by hand."""

import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS = 0, 1, 3, 4
_END_STREAM, _END_HEADERS = 1, 4
_CANCEL = 8


def _frame(kind, flags, stream, payload):
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _literal(name, value):
    """A header that is not indexed and not compressed."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class RawCall:
    """A call on a connection of its own."""

    def __init__(self, address, method):
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)))
        headers = b"".join(_literal(name, value) for name, value in (
            (b":method", b"POST"), (b":scheme", b"http"),
            (b":path", b"/attention.v1.AttentionService/" + method.encode()),
            (b":authority", address.encode()), (b"content-type", b"application/grpc"),
            (b"te", b"trailers")))
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"")
                             + _frame(_HEADERS, _END_HEADERS, 1, headers))

    def send_part(self, message, part_bytes):
        """The beginning of a message."""
        data = b"\0" + struct.pack(">I", len(message)) + message
        self._socket.sendall(_frame(_DATA, 0, 1, data[:part_bytes]))

    def end_request(self):
        self._socket.sendall(_frame(_DATA, _END_STREAM, 1, b""))

    def cancel(self):
        self._socket.sendall(_frame(_RESET, 0, 1, struct.pack(">I", _CANCEL)))

    def close(self):
        self._socket.close()
