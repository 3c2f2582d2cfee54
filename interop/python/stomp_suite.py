"""stomp.py, in all three versions of STOMP."""

import os
import queue
import time
import urllib.parse
import uuid

import stomp
from suite import case, run_all

PLACE = urllib.parse.urlsplit(os.environ["INTEROP_STOMP"])
HOST, PORT = PLACE.hostname, PLACE.port or 61613
VERSIONS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}
PATIENCE = 10


def unique(kind):
    return f"interop-{kind}-{uuid.uuid4().hex[:10]}"


class Ear(stomp.ConnectionListener):
    """Everything that a connection hears, in queues."""

    def __init__(self):
        self.messages, self.receipts, self.errors = queue.Queue(), queue.Queue(), queue.Queue()
        self.gone = queue.Queue()

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_disconnected(self):
        self.gone.put(True)

    def message(self):
        return self.messages.get(timeout=PATIENCE)

    def quiet(self):
        try:
            late = self.messages.get(timeout=0.4)
        except queue.Empty:
            return
        raise AssertionError(f"heard {late.body!r} where nothing should come")


class Client:
    """A connection with its ear."""

    def __init__(self, version="1.2", **options):
        connection = VERSIONS[version]
        if version == "1.0":
            self.link = connection([(HOST, PORT)], auto_decode=False, **options)
        else:
            self.link = connection([(HOST, PORT)], vhost="/", auto_decode=False, **options)
        self.ear = Ear()
        self.link.set_listener("", self.ear)
        self.version = version
        self.link.connect("guest", "guest", wait=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.link.is_connected():
            self.link.disconnect()

    def subscribe(self, destination, id="1", **options):
        headers = {"receipt": "sub"} | options.pop("headers", {})
        self.link.subscribe(destination, id=id, headers=headers, **options)
        assert self.ear.receipts.get(timeout=PATIENCE) == "sub"

    def send(self, destination, body, **headers):
        self.link.send(destination, body, headers={"receipt": "sent"} | headers)
        assert self.ear.receipts.get(timeout=PATIENCE) == "sent"

    def ack(self, frame, verb="ack", **headers):
        do = getattr(self.link, verb)
        if self.version == "1.2":
            do(frame.headers["ack"], **headers)
        elif self.version == "1.1":
            do(frame.headers["message-id"], frame.headers["subscription"], **headers)
        else:
            do(frame.headers["message-id"], **headers)


@case
def sent_and_heard_in_every_version():
    for version in VERSIONS:
        with Client(version) as client:
            name = f"/queue/{unique('hello')}"
            client.subscribe(name, ack="auto")
            client.send(name, "h\u00e9llo", **{"content-type": "text/plain; charset=utf-8"})
            frame = client.ear.message()
            assert frame.body == "h\u00e9llo".encode(), frame.body
            assert frame.headers["destination"] == name, frame.headers
            assert frame.headers["content-type"] == "text/plain; charset=utf-8"


@case
def any_octets_in_a_body():
    body = bytes(range(256)) * 300
    with Client() as client:
        name = f"/queue/{unique('octets')}"
        client.subscribe(name)
        client.send(name, body)
        assert client.ear.message().body == body
        client.send(name, b"")
        assert not client.ear.message().body


@case
def headers_with_escapes():
    odd = "a:b\\c\nd"
    for version in ("1.1", "1.2"):
        with Client(version) as client:
            name = f"/queue/{unique('escapes')}"
            client.subscribe(name)
            client.send(name, "x", odd=odd)
            assert client.ear.message().headers["odd"] == odd


@case
def properties_come_back():
    sent = {
        "persistent": "true", "priority": "5", "correlation-id": "c", "type": "t", "app-id": "a",
        "amqp-message-id": "m", "timestamp": "42", "expiration": "60000", "mine": "yes",
    }
    with Client() as client:
        name = f"/queue/{unique('properties')}"
        client.subscribe(name)
        client.send(name, "x", **sent)
        got = client.ear.message().headers
        assert {key: got.get(key) for key in sent} == sent, got
        assert got["redelivered"] == "false"


@case
def client_mode_is_cumulative():
    with Client() as client:
        name = f"/queue/{unique('client')}"
        client.subscribe(name, ack="client")
        for n in range(10):
            client.send(name, str(n))
        frames = [client.ear.message() for _ in range(10)]
        client.ack(frames[6], receipt="acked")
        client.ear.receipts.get(timeout=PATIENCE)
    with Client() as client:
        client.subscribe(name)
        left = [client.ear.message() for _ in range(3)]
        assert [f.body for f in left] == [b"7", b"8", b"9"]
        assert all(f.headers["redelivered"] == "true" for f in left)
        client.ear.quiet()


@case
def each_by_itself_in_individual_mode():
    with Client("1.1") as client:
        name = f"/queue/{unique('individual')}"
        client.subscribe(name, ack="client-individual")
        for n in range(4):
            client.send(name, str(n))
        frames = [client.ear.message() for _ in range(4)]
        client.ack(frames[1])
        client.ack(frames[3])
    with Client() as client:
        client.subscribe(name)
        assert [client.ear.message().body for _ in range(2)] == [b"0", b"2"]
        client.ear.quiet()


@case
def nack_brings_it_back_or_lets_it_go():
    with Client() as client:
        name = f"/queue/{unique('nack')}"
        client.subscribe(name, ack="client-individual")
        client.send(name, "x")
        client.ack(client.ear.message(), "nack")
        again = client.ear.message()
        assert again.headers["redelivered"] == "true"
        client.ack(again, "nack", requeue="false")
        client.ear.quiet()


@case
def prefetch_is_kept():
    with Client() as client:
        name = f"/queue/{unique('prefetch')}"
        for n in range(5):
            client.send(name, str(n))
        client.subscribe(name, ack="client", headers={"prefetch-count": "2"})
        first, second = client.ear.message(), client.ear.message()
        client.ear.quiet()
        client.ack(second)
        assert [client.ear.message().body for _ in range(2)] == [b"2", b"3"]
        assert first.body == b"0"


@case
def transactions():
    with Client() as client:
        name = f"/queue/{unique('tx')}"
        client.subscribe(name)
        client.link.begin("kept")
        client.link.begin("dropped")
        client.link.send(name, "1", transaction="kept")
        client.link.send(name, "2", transaction="dropped")
        client.link.send(name, "3", transaction="kept")
        client.ear.quiet()
        client.link.abort("dropped")
        client.link.commit("kept")
        assert [client.ear.message().body for _ in range(2)] == [b"1", b"3"]
        client.ear.quiet()


@case
def topics_with_patterns():
    with Client() as one, Client("1.1") as two:
        root = unique("topic")
        one.subscribe(f"/topic/{root}.*.end")
        two.subscribe(f"/topic/{root}.#")
        one.send(f"/topic/{root}.a.end", "both")
        one.send(f"/topic/{root}.a.b", "two")
        assert one.ear.message().body == b"both"
        assert [two.ear.message().body for _ in range(2)] == [b"both", b"two"]
        one.ear.quiet()


@case
def a_durable_subscription():
    key, id = unique("durable"), unique("id")
    lasting = {"durable": "true", "auto-delete": "false"}
    with Client() as client:
        client.subscribe(f"/topic/{key}", id=id, headers=lasting)
    with Client() as client:
        client.send(f"/topic/{key}", "while away", persistent="true")
        client.subscribe(f"/topic/{key}", id=id, headers=lasting)
        assert client.ear.message().body == b"while away"
        client.link.unsubscribe(id=id, headers={"durable": "true", "receipt": "gone"})
        client.ear.receipts.get(timeout=PATIENCE)
        client.send(f"/topic/{key}", "nobody hears")
        client.subscribe(f"/topic/{key}", id=id, headers=lasting)
        client.ear.quiet()
        client.link.unsubscribe(id=id, headers={"durable": "true", "receipt": "gone"})
        client.ear.receipts.get(timeout=PATIENCE)


@case
def a_request_and_its_answer():
    with Client() as asker, Client("1.1") as worker:
        name = f"/queue/{unique('ask')}"
        worker.subscribe(name)
        asker.send(name, "question", **{"reply-to": "/temp-queue/me", "correlation-id": "7"})
        question = worker.ear.message()
        reply_to = question.headers["reply-to"]
        assert reply_to.startswith("/reply-queue/"), reply_to
        worker.send(reply_to, "answer", **{"correlation-id": question.headers["correlation-id"]})
        answer = asker.ear.message()
        assert (answer.body, answer.headers["subscription"]) == (b"answer", "/temp-queue/me")
        assert answer.headers["correlation-id"] == "7"


@case
def errors_are_those_of_rabbitmq():
    with Client() as client:
        for destination, message in (("/nowhere/x", "Unknown destination"), ("/queue/a/b", "Invalid destination")):
            client.link.send(destination, "x")
            assert client.ear.errors.get(timeout=PATIENCE).headers["message"] == message
        # The connection goes on.
        name = f"/queue/{unique('errors')}"
        client.subscribe(name)
        client.send(name, "x")
        assert client.ear.message().body == b"x"
        client.link.subscribe("/amq/queue/" + unique("none"), id="2")
        assert client.ear.errors.get(timeout=PATIENCE).headers["message"] == "not_found"
        client.ear.gone.get(timeout=PATIENCE)


@case
def a_wrong_password():
    link = stomp.Connection12([(HOST, PORT)], vhost="/", reconnect_attempts_max=1)
    ear = Ear()
    link.set_listener("", ear)
    try:
        link.connect("guest", "wrong", wait=True)
    except stomp.exception.ConnectFailedException:
        pass
    assert "Access refused for user 'guest'" in str(ear.errors.get(timeout=PATIENCE).body)


@case
def heart_beats_keep_a_quiet_connection():
    with Client(heartbeats=(1000, 1000)) as client:
        name = f"/queue/{unique('quiet')}"
        client.subscribe(name)
        time.sleep(5)
        client.send(name, "still here")
        assert client.ear.message().body == b"still here"


@case
def what_expires_is_not_heard():
    with Client() as client:
        name = f"/queue/{unique('expire')}"
        client.send(name, "soon gone", expiration="50")
        time.sleep(0.5)
        client.subscribe(name)
        client.ear.quiet()


if __name__ == "__main__":
    run_all()
