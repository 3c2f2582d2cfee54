"""paho and pika on one topic exchange: the matrix of MQTT to AMQP to MQTT for QoS, properties, retained and wildcards."""

import time

import pika

from paho_kit import V5, V311, Client, forget, lasting, plain_topic, publishing
from suite import URL, case, expect, run_all, unique, wait_until


class Amqp:
    """A channel with confirms, and a queue of its own."""

    def __init__(self, *keys):
        self.connection = pika.BlockingConnection(pika.URLParameters(URL))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue
        for key in keys:
            self.channel.queue_bind(self.queue, "amq.topic", key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self):
        def one():
            method, properties, body = self.channel.basic_get(self.queue, auto_ack=True)
            return method and (method.routing_key, properties, body)

        return wait_until(one, "a message in the queue")

    def empty(self):
        expect(self.channel.queue_declare(self.queue, passive=True).method.message_count, 0, "messages left")

    def publish(self, key, body, exchange="amq.topic", **properties):
        self.channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties))


def dotted(place):
    return place.replace("/", ".")


@case
def qos_becomes_a_delivery_mode_and_back():
    for version in (V311, V5):
        base = plain_topic()
        with Amqp(f"{dotted(base)}.in") as amqp, Client(version) as device:
            device.subscribe(f"{base}/out", 2)
            for qos in (0, 1, 2):
                device.publish(f"{base}/in", str(qos), qos)
                key, properties, body = amqp.next()
                expect((key, properties.delivery_mode, body), (f"{dotted(base)}.in", 2 if qos else 1, b"%d" % qos), f"QoS {qos}")
                # The service passes on what came, as it came.
                amqp.channel.basic_publish("amq.topic", f"{dotted(base)}.out", body, properties)
                message = device.next()
                expect((message.payload, message.qos, message.retain), (b"%d" % qos, min(qos, 1), False), f"QoS {qos}, and back")
            amqp.empty()


@case
def delivery_mode_and_subscription_make_the_qos():
    with Amqp() as amqp:
        for wanted in (0, 1, 2):
            place = plain_topic()
            with Client() as device:
                device.subscribe(place, wanted)
                for mode, qos in ((None, 0), (1, 0), (2, 1)):
                    amqp.publish(dotted(place), b"m", delivery_mode=mode)
                    expect(device.next().qos, min(qos, wanted), f"mode {mode} for {wanted}")


@case
def properties_there_and_back():
    base = plain_topic()
    with Amqp(f"{dotted(base)}.there") as amqp, Client() as device:
        device.subscribe(f"{base}/back", 1)
        device.publish(f"{base}/there", b"\0body", 1, properties=publishing(
            ContentType="application/json", CorrelationData=b"c-1", ResponseTopic=f"{base}/answers/a", MessageExpiryInterval=100,
            UserProperty=[("one", "1"), ("two", "zwei")], PayloadFormatIndicator=0))
        _, properties, body = amqp.next()
        expect((properties.content_type, properties.correlation_id, body), ("application/json", "c-1", b"\0body"))
        expect(90_000 < int(properties.expiration) <= 100_000, True, f"expiration {properties.expiration}")
        expect({name: properties.headers[name] for name in ("one", "two", "x-reply-to-topic")},
               {"one": "1", "two": "zwei", "x-reply-to-topic": f"{dotted(base)}.answers.a"})
        amqp.channel.basic_publish("amq.topic", f"{dotted(base)}.back", body, properties)
        got = device.next().properties
        expect((got.ContentType, got.CorrelationData, sorted(got.UserProperty)),
               ("application/json", b"c-1", [("one", "1"), ("two", "zwei")]))
        expect(got.ResponseTopic, f"{base}/answers/a")


@case
def headers_of_every_type():
    place = plain_topic()
    with Amqp() as amqp, Client() as device:
        device.subscribe(place, 0)
        amqp.publish(dotted(place), b"m", headers={
            "text": "täxt", "number": 7, "minus": -3, "true": True, "none": None, "table": {"a": 1}, "list": [1, 2]})
        told = dict(device.next().properties.UserProperty)
        expect({name: told.get(name) for name in ("text", "number", "minus", "true")},
               {"text": "täxt", "number": "7", "minus": "-3", "true": "true"})
        expect([name for name in ("table", "list") if name in told], [], "what has no text")


@case
def correlation_that_is_no_text():
    base = plain_topic()
    with Amqp(f"{dotted(base)}.#") as amqp, Client() as device:
        device.publish(f"{base}/a", "m", 1, properties=publishing(CorrelationData=bytes(range(256))))
        _, properties, _ = amqp.next()
        expect((properties.correlation_id, properties.headers["x-correlation-id"]), (None, bytes(range(256))))


@case
def wildcards_meet():
    base = plain_topic()
    key = dotted(base)
    for filter, binding, names in (
        ("+/x", "*.x", {"a/x": True, "x": False, "a/b/x": False}),
        ("a/#", "a.#", {"a": True, "a/b/c": True, "b": False}),
        ("+/+/c", "*.*.c", {"a/b/c": True, "a/c": False}),
    ):
        with Amqp(f"{key}.{binding}") as amqp, Client() as device, Client() as source:
            device.subscribe(f"{base}/{filter}", 1)
            for name, matches in names.items():
                source.publish(f"{base}/{name}", name, 1)
                if matches:
                    expect((amqp.next()[2], device.next().payload), (name.encode(), name.encode()), f"{filter} and {binding}")
                amqp.publish(f"{key}.{name.replace('/', '.')}", name.encode())
                if matches:
                    expect((amqp.next()[2], device.next().payload), (name.encode(), name.encode()), f"{filter} and {binding}")
            amqp.empty()
            device.quiet()


@case
def retained_is_for_mqtt_and_a_new_binding_gets_none():
    base = plain_topic()
    with Client() as device:
        device.publish(f"{base}/a", "kept", 1, retain=True)
        with Amqp(f"{dotted(base)}.#") as amqp:
            time.sleep(0.3)
            amqp.empty()
            device.publish(f"{base}/a", "new", 1, retain=True)
            expect(amqp.next()[2], b"new", "live, it is a message like any other")
            amqp.publish(f"{dotted(base)}.a", b"from amqp", delivery_mode=2)
            expect(amqp.next()[2], b"from amqp")
        with Client() as late:
            late.subscribe(f"{base}/a", 1)
            message = late.next()
            expect((message.payload, message.retain), (b"new", True), "AMQP retains nothing")
        device.publish(f"{base}/a", "", 1, retain=True)


@case
def expiry_holds_on_either_side():
    base, name = plain_topic(), unique("c")
    with lasting(V5, name) as device:
        device.subscribe(f"{base}/#", 1)
    with Amqp(f"{dotted(base)}.x") as amqp, Client() as source:
        amqp.publish(f"{dotted(base)}.a", b"short", delivery_mode=2, expiration="500")
        amqp.publish(f"{dotted(base)}.a", b"long", delivery_mode=2, expiration="100000")
        source.publish(f"{base}/x", "short", 1, properties=publishing(MessageExpiryInterval=1))
        source.publish(f"{base}/x", "long", 1)
        time.sleep(2.2)
        expect(amqp.next()[2], b"long", "in the AMQP queue")
    with lasting(V5, name) as device:
        expect(device.bodies(2), ["long", "long"], "in the session")
        device.quiet()
    forget(V5, name)


@case
def a_session_is_a_queue():
    name, place = unique("c"), plain_topic()
    with lasting(V5, name) as device:
        device.subscribe(place, 1)
    with Amqp() as amqp:
        queue = f"mqtt-subscription-{name}qos1"
        for number in range(5):
            amqp.publish(dotted(place), str(number).encode(), delivery_mode=2)
        expect(amqp.channel.queue_declare(queue, passive=True).method.message_count, 5, "what waits")
        # Straight into the session, past every topic.
        amqp.publish(queue, b"direct", exchange="", delivery_mode=2)
    with lasting(V5, name) as device:
        expect(device.bodies(6), ["0", "1", "2", "3", "4", "direct"])
    forget(V5, name)


@case
def sys_topics_stay_out_of_amqp_queues():
    with Amqp("#") as amqp:
        with Client() as device:
            device.subscribe("$SYS/#")
            device.next()
        time.sleep(1)
        keys = set()
        while (got := amqp.channel.basic_get(amqp.queue, auto_ack=True))[0]:
            keys.add(got[0].routing_key)
        expect([key for key in keys if key.startswith("$")], [])


@case
def questions_across():
    base = plain_topic()
    with Amqp(f"{dotted(base)}.ask") as service, Client() as device:
        answers = f"{base}/answers"
        device.subscribe(answers, 1)
        device.publish(f"{base}/ask", "2+2", 1, properties=publishing(ResponseTopic=answers, CorrelationData=b"q"))
        _, properties, body = service.next()
        service.publish(properties.headers["x-reply-to-topic"], body + b"=4", correlation_id=properties.correlation_id)
        message = device.next()
        expect((message.payload, message.properties.CorrelationData), (b"2+2=4", b"q"))


if __name__ == "__main__":
    run_all(4)
