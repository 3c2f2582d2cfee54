"""pika: where messages go: alternates, chains, headers, hashes, chance, history, delays, duplicates, copies."""

import collections
import contextlib
import time

import pika
from pika.exceptions import UnroutableError

from pika_kit import (
    Inbox, bodies, confirming, connect, exchange, kept, needs_type, own, ready, restarted, send,
)
from suite import case, expect, unique, wait_until


@case
def alternate_exchange_takes_what_nobody_wants():
    with connect() as connection, exchange(connection, "fanout") as last, \
            exchange(connection, "direct", {"alternate-exchange": last}) as middle, \
            exchange(connection, "topic", {"alternate-exchange": middle}) as first:
        channel = confirming(connection)
        wanted, other, rest = own(channel), own(channel), own(channel)
        channel.queue_bind(wanted, first, "a.#")
        channel.queue_bind(other, middle, "b")
        channel.queue_bind(rest, last)
        for key in ("a.x", "b", "c"):
            channel.basic_publish(first, key, key.encode(), mandatory=True)
        expect([bodies(channel, queue) for queue in (wanted, other, rest)], [["a.x"], ["b"], ["c"]])
        channel.queue_unbind(rest, last)
        try:
            channel.basic_publish(first, "c", b"c", mandatory=True)
        except UnroutableError as error:
            returned = error.messages[0].method
            expect((returned.exchange, returned.routing_key), (first, "c"), "named as it was published")
        else:
            raise AssertionError("not returned")


@case
def alternate_exchange_may_be_missing():
    with connect() as connection, exchange(connection, "direct", {"alternate-exchange": unique("missing")}) as source:
        channel = confirming(connection)
        send(channel, "nowhere", "m", exchange=source)
        try:
            channel.basic_publish(source, "nowhere", b"m", mandatory=True)
        except UnroutableError:
            return
        raise AssertionError("not returned")


@case
def exchanges_in_a_ring_deliver_once():
    with connect() as connection, exchange(connection, "topic") as one, exchange(connection, "direct") as two, \
            exchange(connection, "fanout") as three:
        channel = confirming(connection)
        channel.exchange_bind(two, one, "a.*")
        channel.exchange_bind(three, two, "a.b")
        channel.exchange_bind(one, three)
        queue = own(channel)
        for name in (one, two, three):
            channel.queue_bind(queue, name, "a.b")
        send(channel, "a.b", "m", exchange=one)
        send(channel, "a.c", "n", exchange=one)
        expect(bodies(channel, queue), ["m"])
        channel.exchange_unbind(two, one, "a.*")
        channel.queue_unbind(queue, one, "a.b")
        send(channel, "a.b", "m", exchange=one)
        expect(bodies(channel, queue), [], "after the unbinding")


@case
def headers_all_any_and_with_x():
    with connect() as connection, exchange(connection, "headers") as source:
        channel = confirming(connection)
        bindings = {
            "all": {"x-match": "all", "a": 1, "b": "two"},
            "any": {"x-match": "any", "a": 1, "b": "two"},
            "none said": {"a": 1, "b": "two"},
            "all with x": {"x-match": "all-with-x", "x-a": 1, "b": "two"},
            "any with x": {"x-match": "any-with-x", "x-a": 1, "b": "two"},
            "all without x": {"x-match": "all", "x-a": 1, "b": "two"},
            "any without x": {"x-match": "any", "x-a": 1, "b": "two"},
            "there": {"x-match": "all", "a": None},
            "nothing of all": {"x-match": "all"},
            "nothing of any": {"x-match": "any"},
        }
        queues = {name: own(channel) for name in bindings}
        for name, arguments in bindings.items():
            channel.queue_bind(queues[name], source, "", arguments)

        def reached(headers):
            send(channel, "", "m", exchange=source, headers=headers)
            return {name for name, queue in queues.items() if bodies(channel, queue)}

        nothing = {"nothing of all"}
        expect(reached({"a": 1, "b": "two"}), nothing | {
            "all", "any", "none said", "any with x", "all without x", "any without x", "there"})
        expect(reached({"a": 1}), nothing | {"any", "there"})
        expect(reached({"b": "two"}), nothing | {"any", "any with x", "all without x", "any without x"})
        expect(reached({"a": "1", "b": "three"}), nothing | {"there"}, "types and values")
        expect(reached({"x-a": 1}), nothing | {"any with x"})
        expect(reached({"x-a": 1, "b": "two"}), nothing | {
            "any", "all with x", "any with x", "all without x", "any without x"})
        expect(reached(None), nothing)


@contextlib.contextmanager
def spread(kind, keys, arguments=None):
    """A confirming channel, an exchange of that type, and a queue bound by each key."""
    with connect() as connection:
        needs_type(connection, kind, arguments)
        with exchange(connection, kind, arguments) as source:
            channel = confirming(connection)
            queues = [own(channel) for _ in keys]
            for queue, key in zip(queues, keys):
                channel.queue_bind(queue, source, key)
            yield channel, source, queues


def publish_all(channel, source, count, key=str, properties=lambda number: None):
    """That many messages, numbered; confirmed by the answer to what comes after."""
    plain = channel.connection.channel()
    for number in range(count):
        plain.basic_publish(source, key(number), str(number).encode(), properties(number))
    plain.close()


def where(channel, queues):
    """Which queue each body is in; no body is in two."""
    place = {}
    for index, queue in enumerate(queues):
        for body in bodies(channel, queue):
            if body in place:
                raise AssertionError(f"{body} is in two queues")
            place[body] = index
    return place


@case
def consistent_hash_keeps_to_the_weights():
    with spread("x-consistent-hash", ["1", "3"]) as (channel, source, queues):
        publish_all(channel, source, 2000)
        first = where(channel, queues)
        expect(len(first), 2000, "each to one")
        share = sum(1 for index in first.values() if index == 1) / 2000
        if not 0.68 < share < 0.82:
            raise AssertionError(f"the heavier one got {share}")
        publish_all(channel, source, 2000)
        expect(where(channel, queues), first, "the same place for the same key")


@case
def consistent_hash_moves_few_when_one_comes_or_goes():
    with spread("x-consistent-hash", ["10", "10", "10"]) as (channel, source, queues):
        publish_all(channel, source, 1000)
        before = where(channel, queues)
        added = own(channel)
        channel.queue_bind(added, source, "10")
        publish_all(channel, source, 1000)
        after = where(channel, [*queues, added])
        elsewhere = [body for body in before if after[body] != before[body]]
        expect({after[body] for body in elsewhere}, {3}, "only to the new one")
        if not 150 < len(elsewhere) < 350:
            raise AssertionError(f"{len(elsewhere)} of 1000 moved")
        channel.queue_delete(added)
        publish_all(channel, source, 1000)
        expect(where(channel, queues), before, "and back")


@case
def consistent_hash_by_header_or_property():
    for arguments, properties in (
        ({"hash-header": "who"}, lambda number: pika.BasicProperties(headers={"who": f"u{number % 40}"})),
        ({"hash-property": "message_id"}, lambda number: pika.BasicProperties(message_id=f"u{number % 40}")),
        ({"hash-property": "correlation_id"}, lambda number: pika.BasicProperties(correlation_id=f"u{number % 40}")),
        ({"hash-property": "timestamp"}, lambda number: pika.BasicProperties(timestamp=1700000000 + number % 40)),
    ):
        with spread("x-consistent-hash", ["5", "5", "5"], arguments) as (channel, source, queues):
            publish_all(channel, source, 400, properties=properties)
            place = where(channel, queues)
            expect(len(place), 400, str(arguments))
            for number in range(400):
                expect(place[str(number)], place[str(number % 40)], f"{arguments}: the same for the same")
            expect(set(place.values()), {0, 1, 2}, str(arguments))
            channel.basic_publish(source, "k", b"without", mandatory=True)
            expect(len(where(channel, queues)), 1, "one without it goes somewhere")


@case
def modulus_hash_keeps_a_key_together():
    with spread("x-modulus-hash", ["", "a", "b", "c"]) as (channel, source, queues):
        publish_all(channel, source, 400, key=lambda number: f"k{number % 50}")
        place = where(channel, queues)
        expect(len(place), 400, "each to one")
        for number in range(400):
            expect(place[str(number)], place[str(number % 50)], "the same for the same")
        expect(set(place.values()), {0, 1, 2, 3})


@case
def random_gives_each_to_one():
    with spread("x-random", ["", "any", "key"]) as (channel, source, queues):
        publish_all(channel, source, 600, key=lambda number: "constant")
        counts = collections.Counter(where(channel, queues).values())
        expect(sum(counts.values()), 600)
        if min(counts[index] for index in range(3)) < 120:
            raise AssertionError(f"spread as {counts}")


@case
def recent_history_is_told_to_who_comes_late():
    with spread("x-recent-history", [""], {"x-recent-history-length": 3}) as (channel, source, (queue,)):
        for number in range(5):
            send(channel, f"k{number}", str(number), exchange=source, message_id=f"id{number}")
        send(channel, "k", "secret", exchange=source, headers={"x-recent-history-no-store": True})
        expect(bodies(channel, queue), ["0", "1", "2", "3", "4", "secret"], "a fanout to who is there")
        late = own(channel)
        channel.queue_bind(late, source, "any")
        letters = Inbox(channel.connection, late).wait(3)
        expect([(letter.body, letter.properties.message_id, letter.method.exchange) for letter in letters],
               [(b"%d" % number, f"id{number}", source) for number in (2, 3, 4)])
        channel.exchange_declare(source, passive=True)


@case
def recent_history_is_twenty_by_default():
    with spread("x-recent-history", []) as (channel, source, _):
        publish_all(channel, source, 30)
        late = own(channel)
        channel.queue_bind(late, source)
        expect(Inbox(channel.connection, late).texts(20), [str(number) for number in range(10, 30)])


DELAYED = {"x-delayed-type": "topic"}


@case
def delayed_messages_come_in_the_order_of_their_times():
    with spread("x-delayed-message", ["a.#"], DELAYED) as (channel, source, (queue,)):
        inbox = Inbox(channel.connection, queue)
        began = time.monotonic()
        for body, delay in (("300", 300), ("100", 100), ("200", 200), ("200 again", 200)):
            send(channel, "a.b", body, exchange=source, headers={"x-delay": delay, "mine": 1})
        send(channel, "a.b", "now", exchange=source)
        send(channel, "a.b", "zero", exchange=source, headers={"x-delay": 0})
        expect(ready(channel, queue), 0)
        expect(inbox.texts(6), ["now", "zero", "100", "200", "200 again", "300"])
        waited = time.monotonic() - began
        if not 0.29 < waited < 3:
            raise AssertionError(f"the last came after {waited} s")
        headers = inbox.got[2].properties.headers
        expect((headers["mine"], abs(headers["x-delay"])), (1, 100))
        expect((inbox.got[2].method.exchange, inbox.got[2].method.routing_key), (source, "a.b"))


@case
def delayed_message_is_routed_when_it_is_due():
    """By the bindings of then, not of when it was published."""
    with spread("x-delayed-message", ["a.b"], DELAYED) as (channel, source, (early,)):
        send(channel, "a.b", "m", exchange=source, headers={"x-delay": 300})
        late = own(channel)
        channel.queue_bind(late, source, "#")
        channel.queue_unbind(early, source, "a.b")
        expect(Inbox(channel.connection, late).texts(1), ["m"])
        expect(ready(channel, early), 0)


@case
def delay_that_is_no_delay_is_none():
    with spread("x-delayed-message", ["#"], DELAYED) as (channel, source, (queue,)):
        for body, delay in (("negative", -100), ("text", "soon")):
            send(channel, "k", body, exchange=source, headers={"x-delay": delay})
        expect(bodies(channel, queue), ["negative", "text"])


@case
def duplicates_do_not_pass_the_exchange():
    with spread("x-message-deduplication", ["", "other"], {"x-cache-size": 100}) as (channel, source, queues):
        for body, name in (("1", "a"), ("2", "b"), ("3", "a"), ("4", None), ("5", None), ("6", "b")):
            send(channel, "k", body, exchange=source, headers=name and {"x-deduplication-header": name})
        expect([bodies(channel, queue) for queue in queues], [["1", "2", "4", "5"]] * 2, "a fanout of what is new")


@case
def duplicates_are_forgotten_by_time_and_by_size():
    with spread("x-message-deduplication", [""], {"x-cache-size": 2, "x-cache-ttl": 150}) as (channel, source, (queue,)):

        def passes(name, **more):
            send(channel, "k", name, exchange=source, headers={"x-deduplication-header": name, **more})
            return bool(bodies(channel, queue))

        expect((passes("a"), passes("a")), (True, False))
        wait_until(lambda: passes("a"), "forgotten")
        expect((passes("long", **{"x-cache-ttl": 60_000}), passes("long")), (True, False))
        expect((passes("b"), passes("c")), (True, True))
        expect(sum(passes(name) for name in ("long", "b", "c")) > 0, True, "no more than two are remembered")


@case
def duplicates_do_not_stand_in_a_queue_twice():
    with connect() as connection:
        needs_type(connection, "x-message-deduplication", {"x-cache-size": 1})
        channel = confirming(connection)
        queue = own(channel, {"x-message-deduplication": True})
        for body, name in (("1", "a"), ("2", "a"), ("3", "b"), ("4", None), ("5", None)):
            send(channel, queue, body, headers=name and {"x-deduplication-header": name})
        expect(ready(channel, queue), 4)
        method, _, body = channel.basic_get(queue)
        expect(body, b"1")
        channel.basic_ack(method.delivery_tag)
        send(channel, queue, "6", headers={"x-deduplication-header": "a"})
        expect(bodies(channel, queue), ["3", "4", "5", "6"])


@case
def carbon_copies_go_to_each_once_and_blind_ones_are_not_told():
    with connect() as connection, exchange(connection, "direct") as source:
        channel = confirming(connection)
        to, copied, blind, both = [own(channel) for _ in range(4)]
        for key, queue in (("to", to), ("cc", copied), ("bcc", blind), ("to", both), ("cc", both), ("bcc", both)):
            channel.queue_bind(queue, source, key)
        send(channel, "to", "m", exchange=source, headers={"CC": ["cc", "nowhere"], "BCC": ["bcc"], "mine": 1})
        for queue in (to, copied, blind, both):
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            expect((method.routing_key, properties.headers), ("to", {"CC": ["cc", "nowhere"], "mine": 1}))
            expect(ready(channel, queue), 0, "once")
        send(channel, to, "n", headers={"CC": [copied]})
        expect((bodies(channel, to), bodies(channel, copied)), (["n"], ["n"]), "by the default exchange too")


@case
def user_id_is_vouched_for():
    """Another's is refused (see the table of refusals); one's own arrives."""
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel)
        send(channel, queue, "m", user_id=connection._impl.params.credentials.username)
        expect(channel.basic_get(queue)[1].user_id, "guest")


@case(alone=True)
def delayed_and_remembered_survive_a_kill():
    """What is delayed arrives although the broker was killed; what was seen is still known."""
    before = connect()
    window = {"x-cache-size": 100}
    for kind, arguments in (("x-delayed-message", DELAYED), ("x-message-deduplication", window)):
        needs_type(before, kind, arguments)
    with exchange(before, "x-delayed-message", DELAYED, durable=True) as later, \
            exchange(before, "x-message-deduplication", window, durable=True) as seen, \
            kept(before) as queue, kept(before) as fresh, kept(before, {"x-message-deduplication": True}) as unrepeated:
        channel = confirming(before)
        channel.queue_bind(queue, later, "#")
        channel.queue_bind(fresh, seen)
        for body, delay in (("late", 60_000), ("due soon after", 3000), ("due meanwhile", 50)):
            send(channel, "k", body, exchange=later, delivery_mode=2, headers={"x-delay": delay})
        names = [{"x-deduplication-header": f"n{number}"} for number in range(20)]

        def publish(body):
            for headers in names:
                send(channel, "k", body, exchange=seen, delivery_mode=2, headers=headers)
                send(channel, unrepeated, body, delivery_mode=2, headers=headers)

        publish("m")
        restarted(before)
        with connect() as after:
            channel = confirming(after)
            expect(Inbox(after, queue).texts(2), ["due meanwhile", "due soon after"])
            publish("again")
            for name in (fresh, unrepeated):
                expect(bodies(channel, name), ["m"] * 20)
