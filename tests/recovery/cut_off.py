"""Run a command in a network of its own whose one loopback port leads out through a unix socket.

``unshare -n python cut_off.py PORT SOCKET COMMAND…``: whoever listens on SOCKET can cut the
command off from the port, and from nothing else.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading

SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def loopback_up():
    with socket.socket() as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def join(one, other):
    """Carry both ways until an end closes; both are closed then."""
    back = threading.Thread(target=pump, args=(other, one), daemon=True)
    back.start()
    pump(one, other)
    back.join()
    one.close()
    other.close()


def forward(listening, connect):
    while True:
        try:
            inner, _ = listening.accept()
        except OSError:
            return
        try:
            ends = (inner, connect())
            threading.Thread(target=join, args=ends, daemon=True).start()
        except OSError:
            inner.close()


def to_unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    loopback_up()
    listening = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=forward, args=(listening, lambda: to_unix(path)), daemon=True).start()
    os._exit(subprocess.run(sys.argv[3:], check=False).returncode)


if __name__ == "__main__":
    main()
