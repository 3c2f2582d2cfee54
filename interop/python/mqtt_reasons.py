"""Bare sockets against the table of reasons: what MQTT says to those who break its rules."""

import os
import socket
import urllib.parse

from suite import DEADLINE_SECONDS, MQTT, expect, marked, run_all, unique

PLACE = urllib.parse.urlsplit(MQTT)
NAMES = {2: "CONNACK", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP", 9: "SUBACK", 11: "UNSUBACK", 13: "PINGRESP", 14: "DISCONNECT"}


def text(word):
    return len(word).to_bytes(2, "big") + word.encode()


def connect(version):
    body = text("MQTT") + bytes([4 if version == "3" else 5, 0xC2, 0, 60]) + (b"" if version == "3" else b"\0")
    body += text(unique("c")) + text(PLACE.username) + text(PLACE.password)
    return bytes([0x10, len(body)]) + body


def packet(stream):
    """The next packet: its first octet and what is behind its length; None at the end."""
    head = stream.read(1)
    if not head:
        return None
    size = shift = 0
    while True:
        octet = stream.read(1)[0]
        size |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return head[0], stream.read(size)


def said(version, body):
    """What comes, as the table spells it."""
    kind = body[0] >> 4
    name, body = NAMES[kind], body[1]
    if kind == 2:
        return f"{name} {body[1]:02x}"
    if kind == 14:
        return f"{name} {body[0] if body else 0:02x}"
    if kind in (9, 11):
        return f"{name} {body[-1]:02x}"
    if kind in (4, 5, 7) and version == "5":
        return f"{name} {body[2] if len(body) > 2 else 0:02x}"
    return name


def run(version, sent, answers):
    with socket.create_connection((PLACE.hostname, PLACE.port or 1883), DEADLINE_SECONDS) as place:
        stream = place.makefile("rb")
        if version != "0":
            place.sendall(connect(version))
            expect(said(version, packet(stream)), "CONNACK 00")
        place.sendall(bytes.fromhex(sent))
        try:
            answer = packet(stream)
        except ConnectionResetError:
            answer = None
        told = said(version, answer) if answer else "end"
        expect(told in answers, True, f"said {told}, wanted {' or '.join(answers)}")
        if told.startswith("DISCONNECT"):
            try:
                expect(packet(stream), None, "behind DISCONNECT")
            except ConnectionResetError:
                pass


TABLE = {}
with open(os.environ["INTEROP_REASONS"], encoding="utf-8") as lines:
    for line in lines:
        if not line.startswith("#"):
            name, version, _, sent, answer = line.rstrip("\n").split("\t")
            TABLE.setdefault(name, (version, sent, []))[2].append(answer)

for _name, _row in TABLE.items():
    marked(_name, lambda row=_row: run(*row))

if __name__ == "__main__":
    run_all()
