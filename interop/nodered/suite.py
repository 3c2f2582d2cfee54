"""A Node-RED with a flow of its own: MQTT in, a function, MQTT out; and AMQP applications at both ends through pika."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
import pika  # noqa: E402

from paho_kit import V311, Client, plain_topic  # noqa: E402
from suite import MQTT, URL, case, expect, restart_broker, run_all, wait_until  # noqa: E402

HERE = Path(__file__).resolve().parent
PLACE = plain_topic()
state = {}


def start():
    """Starts Node-RED on a folder of its own, without its editor."""
    folder = Path(state["home"])
    broker = urllib.parse.urlsplit(MQTT)
    flows = (HERE / "flows.json").read_text().replace("PLACE", PLACE).replace("HOST", broker.hostname)
    (folder / "flows.json").write_text(flows.replace('"PORT"', json.dumps(str(broker.port or 1883))))
    (folder / "flows_cred.json").write_text(json.dumps({"broker": {"user": broker.username, "password": broker.password}}))
    (folder / "settings.js").write_text(
        "module.exports = { uiPort: 0, uiHost: '127.0.0.1', disableEditor: true, httpAdminRoot: false, httpNodeRoot: false,"
        " credentialSecret: false, flowFile: 'flows.json', mqttReconnectTime: 200, telemetry: { enabled: false } };\n")
    log = open(folder / "log", "wb")
    state["process"] = subprocess.Popen(
        ["node", str(HERE / "node_modules" / "node-red" / "red.js"), "--userDir", str(folder)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    connected(1)


def connected(times):
    said = Path(state["home"], "log")
    wait_until(lambda: said.read_text(errors="replace").count("Connected to broker") >= times, "Node-RED is connected", 60)


def amqp():
    """A channel, and a queue of what comes with keys below the place."""
    channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    return channel, queue


def got(channel, queue):
    def one():
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        return method and (method, properties, body)

    return wait_until(one, "a message in the queue")


@case
def from_mqtt_to_mqtt():
    with Client(V311) as sink, Client() as source:
        sink.subscribe(f"{PLACE}/doubled/+", 2)
        for number in range(100):
            source.publish(f"{PLACE}/raw/a", str(number), number % 3)
        expect([int(body) for body in sorted(sink.bodies(100), key=int)], [2 * number for number in range(100)], "each once")
        sink.quiet()


@case
def from_mqtt_to_an_amqp_consumer():
    channel, queue = amqp()
    key = PLACE.replace("/", ".")
    channel.queue_bind(queue, "amq.topic", f"{key}.doubled.*")
    with Client() as source:
        source.publish(f"{PLACE}/raw/b", "21", 1)
    method, properties, body = got(channel, queue)
    expect((method.routing_key, body, properties.delivery_mode), (f"{key}.doubled.b", b"42", 2))
    expect(properties.headers["from"], "node-red")
    channel.connection.close()


@case
def from_an_amqp_publisher_to_mqtt():
    channel, queue = amqp()
    key = PLACE.replace("/", ".")
    channel.queue_bind(queue, "amq.topic", f"{key}.done")
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", f"{key}.commands.start", b"now", pika.BasicProperties(delivery_mode=2), mandatory=True)
    expect(got(channel, queue)[2], b"now")
    with Client() as late:
        late.subscribe(f"{PLACE}/done", 1)
        message = late.next()
        expect((message.payload, message.retain), (b"now", True), "its output is retained")
        late.publish(f"{PLACE}/done", "", 1, retain=True)
    channel.connection.close()


@case(alone=True)
def goes_on_after_a_restart():
    restart_broker()
    connected(2)
    with Client() as sink:
        sink.subscribe(f"{PLACE}/doubled/+", 1)

        def through():
            sink.publish(f"{PLACE}/raw/c", "4", 1)
            return not sink.messages.empty()

        wait_until(through, "the flow is subscribed again")
        expect(sink.next().payload, b"8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="interop-nodered-") as state["home"]:
        try:
            start()
            run_all()
        finally:
            if "process" in state:
                state["process"].send_signal(signal.SIGTERM)
                state["process"].wait(20)
            if os.environ.get("INTEROP_VERBOSE"):
                print(Path(state["home"], "log").read_text(errors="replace"))
