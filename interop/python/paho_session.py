"""paho-mqtt: wills, sessions that stay, take-over, restart."""

import time

from paho_kit import V5, V311, Client, each_version, forget, lasting, topic
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho_kit import properties
from suite import case, expect, restart_broker, unique, wait_until


def will(place, payload="lost", qos=1, retain=False, **values):
    made = {"topic": place, "payload": payload, "qos": qos, "retain": retain}
    if values:
        made["properties"] = properties(PacketTypes.WILLMESSAGE, **values)
    return made


@each_version
def will_of_a_lost_client(version):
    place = topic()
    with Client(version) as watching:
        watching.subscribe(place, 2)
        for qos in (0, 1, 2):
            Client(version, will=will(place, qos=qos)).vanish()
            message = watching.next()
            expect((message.payload, message.qos, message.retain), (b"lost", qos, False))


@each_version
def no_will_of_one_that_leaves(version):
    place = topic()
    with Client(version) as watching:
        watching.subscribe(place, 1)
        with Client(version, will=will(place)):
            pass
        watching.quiet()


@each_version
def retained_will(version):
    place = topic()
    with Client(version) as watching:
        watching.subscribe(place, 1)
        Client(version, will=will(place, retain=True)).vanish()
        expect(watching.next().retain, False)
        with Client(version) as late:
            late.subscribe(place, 1)
            expect(late.next().retain, True)
        watching.publish(place, "", 1, retain=True)


@each_version
def will_at_takeover(version):
    place, name = topic(), unique("c")
    with Client(version) as watching:
        watching.subscribe(place, 1)
        first = Client(version, name, will=will(place, "first"))
        with Client(version, name, will=will(place, "second")):
            first.paho.loop_stop()
            expect(watching.bodies(1), ["first"])
        watching.quiet("the second left as agreed")


@case
def disconnect_with_will():
    place = topic()
    with Client() as watching:
        watching.subscribe(place, 1)
        client = Client(will=will(place))
        client.paho.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        expect(watching.bodies(1), ["lost"])
        client.paho.loop_stop()


@case
def will_delay():
    place, name = topic(), unique("c")
    with Client() as watching:
        watching.subscribe(place, 1)
        began = time.monotonic()
        Client(V5, name, expiry=60, will=will(place, WillDelayInterval=1)).vanish()
        watching.quiet("not at once")
        expect(watching.bodies(1), ["lost"])
        expect(time.monotonic() - began > 0.9, True, "after a second")
        forget(V5, name)


@case
def will_delay_ends_with_the_session():
    place, name = topic(), unique("c")
    with Client() as watching:
        watching.subscribe(place, 1)
        Client(V5, name, expiry=0, will=will(place, WillDelayInterval=60)).vanish()
        expect(watching.bodies(1), ["lost"])
        Client(V5, name, expiry=1, will=will(place, WillDelayInterval=60)).vanish()
        expect(watching.bodies(1), ["lost"])


@case
def no_will_of_one_that_comes_back_in_time():
    place, name = topic(), unique("c")
    with Client() as watching:
        watching.subscribe(place, 1)
        Client(V5, name, expiry=60, will=will(place, WillDelayInterval=1)).vanish()
        with Client(V5, name, clean=False):
            time.sleep(1.5)
        watching.quiet()


@case
def properties_of_a_will():
    place = topic()
    with Client() as watching:
        watching.subscribe(place, 1)
        Client(will=will(place, ContentType="text/x", ResponseTopic="r", CorrelationData=b"\0c", PayloadFormatIndicator=1,
                         MessageExpiryInterval=60, UserProperty=[("a", "1"), ("a", "2")])).vanish()
        got = watching.next().properties
        expect((got.ContentType, got.ResponseTopic, got.CorrelationData, got.PayloadFormatIndicator, got.UserProperty),
               ("text/x", "r", b"\0c", 1, [("a", "1"), ("a", "2")]))


@each_version
def session_collects_while_the_client_is_away(version):
    place, name = topic(), unique("c")
    with lasting(version, name) as client:
        expect(client.present, False)
        client.subscribe(f"{place}/#", 2)
    with Client(version) as source:
        for number in range(200):
            source.publish(f"{place}/{number % 3}", str(number), 1 + number % 2)
    with lasting(version, name) as client:
        expect(client.present, True)
        got = [client.next() for _ in range(200)]
        for qos in (1, 2):
            expect([int(message.payload) for message in got if message.qos == qos], list(range(qos - 1, 200, 2)), "in order")
        client.quiet()
    forget(version, name)
    with lasting(version, name) as client:
        expect(client.present, False, "forgotten")
        with Client(version) as source:
            source.publish(f"{place}/1", "after", 1)
        client.quiet("what it was interested in is forgotten, too")
    forget(version, name)


@each_version
def unacknowledged_comes_again(version):
    place, name = topic(), unique("c")
    first = lasting(version, name, manual=True)
    first.subscribe(place, 1)
    with Client(version) as source:
        for number in range(5):
            source.publish(place, str(number), 1)
    got = [first.next() for _ in range(5)]
    expect([(int(message.payload), message.dup) for message in got], [(number, False) for number in range(5)])
    first.vanish()
    with lasting(version, name) as again:
        expect(again.present, True)
        twice = [again.next() for _ in range(5)]
        expect([(int(message.payload), message.dup) for message in twice], [(number, True) for number in range(5)])
        expect([message.mid for message in twice], [message.mid for message in got], "under their ids")
        again.quiet()
    forget(version, name)


@each_version
def takeover(version):
    name, place = unique("c"), topic()
    first = lasting(version, name)
    first.subscribe(place, 1)
    with lasting(version, name) as second:
        code = first.end()[1]
        first.paho.loop_stop()
        if version == V5:
            expect(code.value, 0x8E)
        expect(second.present, True)
        second.publish(place, "m", 1)
        expect(second.bodies(1), ["m"])
    forget(version, name)


@case
def session_expiry():
    name, place = unique("c"), topic()
    with lasting(V5, name, expiry=1) as client:
        client.subscribe(place, 1)
    with lasting(V5, name, expiry=1) as client:
        expect(client.present, True, "at once")
    time.sleep(2.5)
    with lasting(V5, name, expiry=1) as client:
        expect(client.present, False, "two seconds later")
    with Client(V5, name, clean=False) as client:
        pass
    with Client(V5, name, clean=False) as client:
        expect(client.present, False, "without an interval")


@case
def session_expiry_changed_at_disconnect():
    name = unique("c")
    for first, last, stays in ((300, 0, False), (300, 200, True)):
        client = lasting(V5, name, expiry=first)
        client.subscribe(topic(), 1)
        client.paho.disconnect(properties=properties(PacketTypes.DISCONNECT, SessionExpiryInterval=last))
        client.end()
        client.paho.loop_stop()
        # Nothing tells when the broker has read it.
        time.sleep(0.5)
        with Client(V5, name, clean=False) as again:
            expect(again.present, stays, f"{first} then {last}")


@case
def session_goes_from_version_to_version():
    name, place = unique("c"), topic()
    with lasting(V311, name) as client:
        client.subscribe(place, 1)
    with Client() as source:
        source.publish(place, "m", 1)
    with lasting(V5, name) as client:
        expect((client.present, client.bodies(1)), (True, ["m"]))
    forget(V311, name)


def filled(version, name, place):
    with lasting(version, name) as client:
        client.subscribe(f"{place}/#", 2)
    with Client(version) as source:
        for number in range(100):
            source.publish(f"{place}/{number % 2}", str(number), 1 + number % 2)
        source.publish(f"{place}/kept", "kept", 1, retain=True)
        source.publish(f"{place}/gone", "gone", 1, retain=True)
        source.publish(f"{place}/gone", "", 1, retain=True)


@case(alone=True)
def restart():
    places = {}
    for version in (V311, V5):
        name, place = unique("c"), topic()
        filled(version, name, place)
        places[version] = name, place
    delayed = topic()
    Client(V5, "delayed" + delayed, expiry=300, will=will(delayed, retain=True, WillDelayInterval=2)).vanish()
    restart_broker()
    for version, (name, place) in places.items():
        with lasting(version, name) as client:
            expect(client.present, True, "the session")
            got = [client.next() for _ in range(103)]
            for qos in (1, 2):
                # A client hands over QoS 2 later, when it is released.
                wanted = [str(number) for number in range(qos - 1, 100, 2)] + ["kept", "gone", ""] * (qos == 1)
                expect([message.payload.decode() for message in got if message.qos == qos], wanted, "in order")
            client.quiet()
            client.publish(f"{place}/0", "again", 1)
            expect(client.bodies(1), ["again"], "its subscription")
        with Client(version) as late:
            late.subscribe(f"{place}/#", 1)
            expect((late.bodies(1), late.next if late.quiet() else None), (["kept"], None), "retained")
            late.publish(f"{place}/kept", "", 1, retain=True)
        forget(version, name)
    with Client() as late:
        late.subscribe(delayed, 1)
        expect(late.bodies(1), ["lost"], "the will that was to come later")
        late.publish(delayed, "", 1, retain=True)
    forget(V5, "delayed" + delayed)


@case(alone=True)
def reconnects_by_itself_after_a_restart():
    name, place = unique("c"), topic()
    client = lasting(V5, name)
    client.subscribe(place, 2)
    for number in range(50):
        client.paho.publish(place, str(number), 2)
    restart_broker()
    wait_until(client.paho.is_connected, "connected again")
    for number in range(50, 60):
        client.paho.publish(place, str(number), 2)
    expect(sorted(map(int, client.bodies(60))), list(range(60)), "each once")
    client.quiet()
    client.__exit__()
    forget(V5, name)
