"""What a manager hears on its socket: only what its own user sends."""

import os
import socket
import subprocess
import sys

from dolphin_realtime.infra.notify_socket import messages, notify_socket

SEND = """
import os, socket, sys
uid = int(sys.argv[2])
if uid != os.geteuid():
    os.setuid(uid)
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.sendto(b"READY=1\\nSTATUS=from " + str(uid).encode(), "\\0" + sys.argv[1])
"""


def test_messages_of_this_user_are_heard_and_those_of_another_are_not():
    name = f"dolphin-test/{os.getpid()}"
    receiver = notify_socket(name)
    strangers = [4401] if os.geteuid() == 0 else []
    for uid in (*strangers, os.geteuid()):
        subprocess.run([sys.executable, "-c", SEND, name, str(uid)], check=True)
    assert list(messages(receiver)) == [["READY=1", f"STATUS=from {os.geteuid()}"]]
    assert list(messages(receiver)) == []
    receiver.close()


def test_a_message_without_a_sender_the_kernel_knows_is_left_out(monkeypatch):
    name = f"dolphin-test-2/{os.getpid()}"
    receiver = notify_socket(name)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    subprocess.run([sys.executable, "-c", SEND, name, str(os.geteuid())], check=True)
    assert list(messages(receiver)) == []
    receiver.close()
