"""paho-mqtt, MQTT 3.1, 3.1.1 and 5: connections, QoS, order, filters, retained messages, wills, sessions."""

import paho_session  # noqa: F401 its import registers its cases
import paho_properties  # noqa: F401
from paho_kit import V31, V5, V311, Client, each_version, topic
from suite import case, expect, run_all, unique


@each_version
def connect(version):
    with Client(version) as client:
        expect(client.present, False, "session present")


@case
def connect_by_3_1():
    place = topic()
    with Client(V31, unique("c")[:23]) as client:
        expect(client.subscribe(place, 2), 2, "granted")
        client.publish(place, "old", 2)
        expect(client.bodies(1), ["old"])


@each_version
def bad_password(version):
    client = Client(version, password="wrong", connect=False)
    code = client.try_connect()[1]
    client.paho.loop_stop()
    expect(str(code) in ("Not authorized", "Bad user name or password"), True, f"said {code}")


@each_version
def empty_client_id(version):
    with Client(version, "") as client:
        if version == V5:
            expect(len(client.given.AssignedClientIdentifier) > 0, True, "a name is assigned")


@each_version
def qos_matrix(version):
    with Client(version) as source:
        for wanted in (0, 1, 2):
            place = topic()
            with Client(version) as sink:
                expect(sink.subscribe(place, wanted), wanted, "granted")
                for qos in (0, 1, 2):
                    source.publish(place, f"{qos}", qos)
                    message = sink.next()
                    expect((message.payload, message.qos, message.retain, message.dup),
                           (b"%d" % qos, min(qos, wanted), False, False), f"{qos} for {wanted}")
                sink.quiet()


@each_version
def payloads(version):
    place = topic()
    with Client(version) as client:
        client.subscribe(place, 1)
        for payload in (b"", bytes(range(256)), bytes(range(256)) * 4096, b"after"):
            for qos in (0, 1, 2):
                client.publish(place, payload, qos)
                expect(client.next().payload == payload, True, f"{len(payload)} bytes")


@each_version
def topics_come_back_as_they_were(version):
    base = topic()
    names = [f"{base}{rest}" for rest in ("/a.b/c", "//", "/a//b", "/ä ö/日本", "/a*b/>", "/" + "x" * 150, "/$x", "/.", "/a/")]
    with Client(version) as client:
        client.subscribe(f"{base}/#", 1)
        for name in (base, *names):
            client.publish(name, "m", 1)
            expect(client.next().topic, name)
        for name in names:
            client.unsubscribe(f"{base}/#")
            expect(client.subscribe(name, 1), 1)
            client.publish(name, "exact", 1)
            expect(client.next().topic, name)
            for other in names:
                if other != name:
                    client.publish(other, "other", 1)
            client.quiet()
            client.unsubscribe(name)
            client.subscribe(f"{base}/#", 1)


@each_version
def order(version):
    count = 2000
    with Client(version) as source, Client(version) as sink:
        for qos in (0, 1, 2):
            place = topic()
            sink.subscribe(place, qos)
            for number in range(count):
                last = source.paho.publish(place, str(number), qos)
            last.wait_for_publish(30)
            expect(sink.bodies(count), [str(number) for number in range(count)], f"qos {qos}")
            sink.quiet("each came once")


@each_version
def filters(version):
    base = topic()
    names = {name: f"{base}/{name}" for name in ("a", "a/b", "a/b/c", "b", "b/b", "a/")}
    reach = {
        "a": ["a"], "a/#": ["a", "a/b", "a/b/c", "a/"], "+": ["a", "b"], "+/b": ["a/b", "b/b"], "+/+": ["a/b", "b/b", "a/"],
        "a/+/c": ["a/b/c"], "#": list(names), "+/b/#": ["a/b", "a/b/c", "b/b"], "+/": ["a/"], "c": [],
    }
    with Client(version) as client:
        for filter, wanted in reach.items():
            client.subscribe(f"{base}/{filter}", 1)
            for name in names.values():
                client.publish(name, "", 1)
            client.publish(f"{base}/+end".replace("+", "z"), "", 1)
            got = []
            client.subscribe(f"{base}/end", 1)
            client.publish(f"{base}/end", "", 1)
            while (message := client.next().topic) != f"{base}/end":
                got.append(message)
            expect([name for name in got if not name.endswith("zend")], [names[name] for name in wanted], filter)
            client.unsubscribe(f"{base}/{filter}")
            client.unsubscribe(f"{base}/end")
            while not client.messages.empty():
                client.messages.get()


@each_version
def wildcards_skip_dollar_topics(version):
    place = topic()
    with Client(version) as client, Client(version) as watching:
        watching.subscribe("$SYS/#")
        expect(watching.next().topic.startswith("$SYS/"), True)
        client.subscribe("+/#")
        client.subscribe("#")
        for _ in range(2):
            # What comes by itself has time to come.
            watching.next()
            client.publish(place, "end", 1)
        got = [client.next()]
        while got[-1].topic != place:
            got.append(client.next())
        expect([message.topic for message in got if message.topic.startswith("$")], [])


@each_version
def overlapping_filters_bring_the_highest_qos(version):
    base = topic()
    with Client(version) as client:
        client.subscribe(f"{base}/#", 0)
        client.subscribe(f"{base}/a", 2)
        client.subscribe(f"{base}/+", 1)
        client.publish(f"{base}/a", "m", 2)
        expect(client.next().qos, 2)


@each_version
def unsubscribe(version):
    place = topic()
    with Client(version) as client:
        client.subscribe(place, 1)
        client.publish(place, "1", 1)
        codes = client.unsubscribe([place, topic()])
        if version == V5:
            expect(codes, [0, 0x11], "one was there")
        client.publish(place, "2", 1)
        expect(client.bodies(1), ["1"])
        client.quiet()


@each_version
def one_subscribe_of_many(version):
    base = topic()
    with Client(version) as client:
        client.paho.subscribe([(f"{base}/{qos}", qos) for qos in (0, 1, 2)])
        expect(client.granted.get(timeout=20), [0, 1, 2])
        for qos in (0, 1, 2):
            client.publish(f"{base}/{qos}", "", 2)
            expect(client.next().qos, qos)


@each_version
def retained(version):
    base = topic()
    with Client(version) as client:
        client.subscribe(f"{base}/#", 1)
        for name, body in (("a", "old"), ("a", "new"), ("b", "gone"), ("c/d", "deep")):
            client.publish(f"{base}/{name}", body, 1, retain=True)
            message = client.next()
            expect((message.payload.decode(), message.retain), (body, False), "live")
        client.publish(f"{base}/b", "", 1, retain=True)
        expect(client.next().payload, b"", "the empty one is a message, too")
        client.publish(f"{base}/a", "passing", 1)
        client.next()
        for filter, wanted in ((f"{base}/a", {"new"}), (f"{base}/#", {"new", "deep"}), (f"{base}/+", {"new"}),
                               (f"{base}/+/d", {"deep"}), (f"{base}/b", set())):
            with Client(version) as late:
                late.subscribe(filter, 1)
                got = [late.next() for _ in wanted]
                expect({message.payload.decode() for message in got}, wanted, filter)
                expect([(message.retain, message.qos) for message in got], [(True, 1)] * len(wanted), filter)
                late.quiet()
        client.subscribe(f"{base}/a", 1)
        expect(client.next().retain, True, "a new filter brings it again")
        for name in ("a", "c/d"):
            client.publish(f"{base}/{name}", "", 1, retain=True)


@each_version
def retained_qos(version):
    place = topic()
    with Client(version) as client:
        for qos in (0, 1, 2):
            client.publish(place, str(qos), qos, retain=True)
            with Client(version) as late:
                late.subscribe(place, 2)
                message = late.next()
                expect((message.payload, message.qos, message.retain), (b"%d" % qos, qos, True))
        client.publish(place, "", 1, retain=True)


@each_version
def many_retained(version):
    base, count = topic(), 2000
    with Client(version) as client:
        for number in range(count):
            last = client.paho.publish(f"{base}/{number % 10}/{number}", str(number), 1, retain=True)
        last.wait_for_publish(30)
        with Client(version) as late:
            late.subscribe(f"{base}/#", 1)
            expect(sorted(map(int, late.bodies(count))), list(range(count)))
            late.quiet()
            late.subscribe(f"{base}/3/+", 0)
            expect(sorted(map(int, late.bodies(count // 10))), list(range(3, count, 10)))
        for number in range(count):
            last = client.paho.publish(f"{base}/{number % 10}/{number}", "", 1, retain=True)
        last.wait_for_publish(30)


@each_version
def keep_alive(version):
    place = topic()
    with Client(version, keepalive=1) as pinging, Client(version) as watching:
        watching.subscribe(place, 1)
        silent = Client(version, keepalive=1, will={"topic": place, "payload": "silent", "qos": 1})
        silent.paho.loop_stop()
        expect(watching.bodies(1), ["silent"], "one that says nothing is lost")
        expect(pinging.paho.is_connected(), True, "one that pings is not")
        pinging.publish(place, "here", 1)
        expect(watching.bodies(1), ["here"])


if __name__ == "__main__":
    run_all(4)
