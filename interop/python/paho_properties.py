"""paho-mqtt, MQTT 5: properties, options of subscriptions, limits of both sides."""

import time

from paho.mqtt.packettypes import PacketTypes

from paho_kit import V5, Client, forget, lasting, properties, publishing, topic
from suite import case, expect, unique


@case
def properties_of_a_message():
    place = topic()
    sent = publishing(
        ContentType="application/x-täst", ResponseTopic="to/me", CorrelationData=bytes(range(256)), PayloadFormatIndicator=1,
        UserProperty=[("b", "2"), ("a", "1"), ("b", "3"), ("", "")])
    with Client() as client:
        client.subscribe(place, 2)
        for qos in (0, 1, 2):
            client.publish(place, "m", qos, properties=sent)
            got = client.next().properties
            expect((got.ContentType, got.ResponseTopic, got.CorrelationData, got.PayloadFormatIndicator),
                   ("application/x-täst", "to/me", bytes(range(256)), 1))
            expect(got.UserProperty, [("b", "2"), ("a", "1"), ("b", "3"), ("", "")])
        client.publish(place, "m", 1)
        expect(client.next().properties.isEmpty(), True, "none is added")


@case
def message_expiry():
    name, place = unique("c"), topic()
    with lasting(V5, name) as client:
        client.subscribe(place, 1)
    with Client() as source:
        for seconds in (1, 100):
            source.publish(place, str(seconds), 1, properties=publishing(MessageExpiryInterval=seconds))
        source.publish(f"{place}/kept", "kept", 1, retain=True, properties=publishing(MessageExpiryInterval=1))
        source.publish(place, "ever", 1)
    time.sleep(2.2)
    with lasting(V5, name) as client:
        message = client.next()
        expect(message.payload, b"100", "the other is gone")
        expect(96 <= message.properties.MessageExpiryInterval <= 99, True, f"left: {message.properties.MessageExpiryInterval}")
        expect(client.bodies(1), ["ever"])
        client.subscribe(f"{place}/#", 1)
        client.quiet("what was retained is gone, too")
    forget(V5, name)


@case
def subscription_identifiers():
    base = topic()
    with Client() as client:
        client.subscribe(f"{base}/a", 1, label=7)
        client.subscribe(f"{base}/b", 1, label=268_435_455)
        client.subscribe(f"{base}/c", 1)
        for name, labels in (("a", [7]), ("b", [268_435_455])):
            client.publish(f"{base}/{name}", "", 1)
            expect(client.next().properties.SubscriptionIdentifier, labels)
        client.publish(f"{base}/c", "", 1)
        expect(hasattr(client.next().properties, "SubscriptionIdentifier"), False)
        client.subscribe(f"{base}/a", 1, label=8)
        client.publish(f"{base}/a", "", 1)
        expect(client.next().properties.SubscriptionIdentifier, [8], "replaced")


@case
def overlapping_filters_come_as_one():
    base = topic()
    with Client() as client:
        client.subscribe(f"{base}/#", 0, label=1)
        client.subscribe(f"{base}/a", 2, label=2)
        client.subscribe(f"{base}/+", 1, label=3)
        client.publish(f"{base}/a", "m", 2)
        got = [client.next()]
        while not client.messages.empty() or len(got) < 1:
            got.append(client.next())
        labels = sorted(label for message in got for label in message.properties.SubscriptionIdentifier)
        expect(labels, [1, 2, 3])
        expect(max(message.qos for message in got), 2)
        # The specification allows several; Mosquitto before 2.1 and RabbitMQ send one.
        expect(len(got), 1)


@case
def no_local():
    place = topic()
    with Client() as one, Client() as other:
        one.subscribe(place, 1, noLocal=True)
        one.publish(place, "mine", 1)
        other.publish(place, "theirs", 1)
        expect(one.bodies(1), ["theirs"])
        one.quiet()


@case
def retain_as_published():
    with Client() as client:
        for keep in (False, True):
            place = topic()
            client.subscribe(place, 1, retainAsPublished=keep, retainHandling=2)
            for retain in (False, True):
                client.publish(place, "m", 1, retain=retain)
                expect(client.next().retain, keep and retain)
            client.publish(place, "", 1, retain=True)
            client.next()


@case
def retain_handling():
    place = topic()
    with Client() as source:
        source.publish(place, "kept", 1, retain=True)
        for handling, first, second in ((0, 1, 1), (1, 1, 0), (2, 0, 0)):
            with Client() as client:
                for count in (first, second):
                    client.subscribe(place, 1, retainHandling=handling)
                    expect(client.bodies(count), ["kept"] * count, f"handling {handling}")
                    client.quiet(f"handling {handling}")
        source.publish(place, "", 1, retain=True)


@case
def shared_subscription():
    place, group = topic(), unique("g")
    with Client() as source, Client() as one, Client() as two, Client() as alone:
        for member in (one, two):
            expect(member.subscribe(f"$share/{group}/{place}/+", 1), 1)
        alone.subscribe(f"{place}/#", 1)
        for number in range(100):
            source.publish(f"{place}/{number % 2}", str(number), 1)
        expect(alone.bodies(100), [str(number) for number in range(100)], "who does not share")
        time.sleep(0.5)
        shares = [[int(m.messages.get().payload) for _ in range(m.messages.qsize())] for m in (one, two)]
        expect(sorted(shares[0] + shares[1]), list(range(100)), "each once")
        expect(all(share == sorted(share) for share in shares), True, "in order")
        expect(min(map(len, shares)) > 10, True, f"both take part: {[len(share) for share in shares]}")


@case
def shared_subscription_gets_nothing_retained():
    place = topic()
    with Client() as client:
        client.publish(place, "kept", 1, retain=True)
        client.subscribe(f"$share/{unique('g')}/{place}", 1)
        client.quiet()
        client.publish(place, "", 1, retain=True)


@case
def what_a_lost_member_held_goes_to_others():
    place, group = topic(), unique("g")
    holder = Client(manual=True)
    holder.subscribe(f"$share/{group}/{place}", 1)
    with Client() as source, Client() as other:
        for number in range(5):
            source.publish(place, str(number), 1)
        got = holder.bodies(5)
        expect(got, [str(number) for number in range(5)])
        other.subscribe(f"$share/{group}/{place}", 1)
        holder.vanish()
        expect(sorted(other.bodies(5)), got)


@case
def no_matching_subscribers():
    place = topic()
    with Client() as client:
        expect(client.publish(place, "", 1), 0x10)
        client.subscribe(place)
        expect(client.publish(place, "", 1), 0)


@case
def receive_maximum_of_the_client():
    place = topic()
    with Client(manual=True, ReceiveMaximum=3) as client, Client() as source:
        client.subscribe(place, 1)
        for number in range(10):
            source.publish(place, str(number), 1)
        held = [client.next() for _ in range(3)]
        client.quiet("no more than three")
        client.paho.ack(held[0].mid, 1)
        held.append(client.next())
        client.quiet()
        for message in held[1:]:
            client.paho.ack(message.mid, 1)
        expect(client.bodies(3), ["4", "5", "6"])


@case
def largest_packet_of_the_client():
    place = topic()
    with Client(MaximumPacketSize=1000) as client, Client() as source:
        client.subscribe(place, 1)
        for size in (10, 5000, 20):
            source.publish(place, "x" * size, 1)
        expect([len(body) for body in client.bodies(2)], [10, 20], "the large one is passed over")
        client.quiet()


@case
def topic_alias_of_the_client():
    place = topic()
    with Client() as client:
        expect(client.given.TopicAliasMaximum > 0, True)
        client.subscribe(f"{place}/#", 1)
        client.publish(f"{place}/long", "1", 1, properties=publishing(TopicAlias=1))
        client.publish("", "2", 1, properties=publishing(TopicAlias=1))
        client.publish(f"{place}/other", "3", 0, properties=publishing(TopicAlias=1))
        client.publish("", "4", 2, properties=publishing(TopicAlias=1))
        got = [client.next() for _ in range(4)]
        expect([(message.topic.rsplit("/", 1)[1], message.payload.decode()) for message in got],
               [("long", "1"), ("long", "2"), ("other", "3"), ("other", "4")])


@case
def topic_alias_of_the_broker():
    place = topic()
    with Client(TopicAliasMaximum=5) as client, Client() as source:
        client.subscribe(f"{place}/#", 1)
        for number in range(30):
            source.publish(f"{place}/{number % 10}", str(number), 1)
        names, numbered = {}, 0
        for number in range(30):
            message = client.next()
            label = getattr(message.properties, "TopicAlias", None)
            if label and message.topic:
                names[label] = message.topic
            numbered += not message.topic
            # paho leaves it to the application to look it up.
            expect((message.topic or names[label], message.payload.decode()), (f"{place}/{number % 10}", str(number)))
        expect(len(names) <= 5, True, "no more than the client takes")


@case
def request_and_response():
    place, answers = topic(), topic()
    with Client() as asking, Client() as serving:
        serving.subscribe(place, 1)
        asking.subscribe(answers, 1)
        asking.publish(place, "ask", 1, properties=publishing(ResponseTopic=answers, CorrelationData=b"7"))
        question = serving.next()
        serving.publish(question.properties.ResponseTopic, question.payload + b"ed", 1,
                        properties=publishing(CorrelationData=question.properties.CorrelationData))
        answer = asking.next()
        expect((answer.payload, answer.properties.CorrelationData), (b"asked", b"7"))


@case
def unknown_authentication_method():
    client = Client(connect=False, AuthenticationMethod="GUESS", AuthenticationData=b"x")
    code = client.try_connect()[1]
    client.paho.loop_stop()
    expect(code.value, 0x8C)


@case
def alias_above_the_maximum():
    client = Client()
    client.publish(topic(), "", 0, properties=publishing(TopicAlias=client.given.TopicAliasMaximum + 1))
    expect(client.end()[1].value, 0x94)
    client.paho.loop_stop()


@case
def unknown_alias():
    client = Client()
    client.publish("", "", 0, properties=publishing(TopicAlias=1))
    expect(client.end()[1].value in (0x82, 0x94), True)
    client.paho.loop_stop()


@case
def shared_without_local():
    client = Client()
    try:
        code = client.subscribe(f"$share/g/{topic()}", 1, noLocal=True)
    except Exception:  # noqa: BLE001 the broker may hang up instead
        code = client.end()[1].value
    expect(code, 0x82)
    client.paho.loop_stop()


@case
def disconnect_of_a_session_that_was_to_end():
    client = Client(expiry=0)
    client.paho.disconnect(properties=properties(PacketTypes.DISCONNECT, SessionExpiryInterval=60))
    client.end()
    client.paho.loop_stop()
    time.sleep(0.5)
    with Client(V5, client.name, clean=False) as again:
        expect(again.present, False, "what was to end cannot be made to stay")
