"""pika: exchanges, queues and bindings, how they route, when they go, and what a connection survives."""

import pika
from pika.exceptions import ChannelClosedByBroker

from pika_kit import confirming, connect, drain, fill, gone
from suite import case, expect, unique, wait_until


@case
def connect_():
    with connect() as connection:
        properties = connection._impl.server_properties
        for wanted in (
            "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
            "connection.blocked", "consumer_priorities", "authentication_failure_close",
            "per_consumer_qos", "direct_reply_to",
        ):
            expect(properties["capabilities"].get(wanted), True, wanted)
        for key in ("product", "version", "platform", "cluster_name"):
            if not isinstance(properties[key], str):
                raise AssertionError(f"{key} is {properties[key]!r}")
        expect(connection._impl.params.channel_max, 2047, "channel_max")


@case
def exchanges():
    with connect() as connection:
        channel = connection.channel()
        for kind in ("direct", "fanout", "topic", "headers"):
            for durable in (False, True):
                name = unique("x")
                channel.exchange_declare(name, kind, durable=durable)
                channel.exchange_declare(name, kind, durable=durable)
                channel.exchange_declare(name, passive=True)
                channel.exchange_delete(name)
                channel.exchange_delete(name)
        for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"):
            channel.exchange_declare(name, passive=True)
        name = unique("x")
        channel.exchange_declare(name, "fanout", auto_delete=True, internal=True)
        queue = fill(confirming(connection), 0)
        channel.queue_bind(queue, name)
        channel.queue_unbind(queue, name)
        try:
            channel.exchange_declare(name, passive=True)
        except ChannelClosedByBroker as closed:
            expect(closed.reply_code, 404, "auto-delete exchange after its last binding")
        else:
            raise AssertionError("the auto-delete exchange is still there")
        connection.channel().queue_delete(queue)


@case
def queues():
    with connect() as connection, connect() as other:
        channel = connection.channel()
        first = channel.queue_declare("", exclusive=True).method
        if not first.queue.startswith("amq.gen-"):
            raise AssertionError(first.queue)
        if channel.queue_declare("", exclusive=True).method.queue == first.queue:
            raise AssertionError("server-made names repeat")
        for durable in (False, True):
            name = unique()
            expect(channel.queue_declare(name, durable=durable).method.message_count, 0)
            channel.queue_declare(name, durable=durable)
            expect(channel.queue_delete(name).method.message_count, 0)
            channel.queue_delete(name)
        name = unique()
        channel.queue_declare(name, auto_delete=True)
        tag = channel.basic_consume(name, lambda *_: None)
        expect(channel.queue_declare(name, passive=True).method.consumer_count, 1, "consumers")
        channel.basic_cancel(tag)
        gone(other, name)
        name = unique()
        channel.queue_declare(name, exclusive=True)
        connection.close()
        gone(other, name)


def routed(channel, exchange, key, queue, headers=None):
    """How many copies of one publish reach the queue."""
    channel.basic_publish(exchange, key, b"m", pika.BasicProperties(headers=headers))
    return channel.queue_purge(queue).method.message_count


def bound(connection, kind):
    channel = confirming(connection)
    exchange, queue = unique("x"), unique()
    channel.exchange_declare(exchange, kind, auto_delete=True)
    channel.queue_declare(queue, exclusive=True)
    # Lets the exchange outlive the bindings that the case takes away.
    channel.queue_bind(channel.queue_declare("", exclusive=True).method.queue, exchange, "never", {"never": 1})
    return channel, exchange, queue


@case
def bindings_direct():
    with connect() as connection:
        channel, exchange, queue = bound(connection, "direct")
        channel.queue_bind(queue, exchange, "a")
        channel.queue_bind(queue, exchange, "a")
        channel.queue_bind(queue, exchange, "b")
        expect([routed(channel, exchange, key, queue) for key in ("a", "b", "c")], [1, 1, 0])
        channel.queue_unbind(queue, exchange, "a")
        expect([routed(channel, exchange, key, queue) for key in ("a", "b")], [0, 1])
        channel.queue_unbind(queue, exchange, "never bound")


@case
def bindings_fanout():
    with connect() as connection:
        channel, exchange, queue = bound(connection, "fanout")
        channel.queue_bind(queue, exchange, "ignored")
        second = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(second, exchange)
        expect(routed(channel, exchange, "any", queue), 1)
        expect(drain(channel, second), [("m", False)])


@case
def bindings_topic():
    with connect() as connection:
        channel, exchange, queue = bound(connection, "topic")
        for pattern, yes, no in (
            ("a.*", ("a.b", "a."), ("a", "a.b.c", "b.a")),
            ("a.#", ("a", "a.b", "a.b.c"), ("b", "ab")),
            ("#", ("", "a", "a.b.c"), ()),
            ("#.z", ("z", "a.z", "a.b.z"), ("z.a",)),
            ("a.#.z", ("a.z", "a.b.z", "a.b.c.z"), ("a", "z")),
            ("*.*", ("a.b", "."), ("a", "a.b.c")),
        ):
            channel.queue_bind(queue, exchange, pattern)
            for key in yes:
                expect(routed(channel, exchange, key, queue), 1, f"{pattern} and {key!r}")
            for key in no:
                expect(routed(channel, exchange, key, queue), 0, f"{pattern} and {key!r}")
            channel.queue_unbind(queue, exchange, pattern)
        channel.queue_bind(queue, exchange, "a.#")
        channel.queue_bind(queue, exchange, "#.b")
        expect(routed(channel, exchange, "a.b", queue), 1, "two bindings that match")


@case
def bindings_headers():
    with connect() as connection:
        channel, exchange, queue = bound(connection, "headers")
        for arguments, headers, copies in (
            ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1, "b": "two", "c": 3}, 1),
            ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1}, 0),
            ({"a": 1, "b": "two"}, {"a": 1, "b": "other"}, 0),
            ({"x-match": "any", "a": 1, "b": "two"}, {"b": "two"}, 1),
            ({"x-match": "any", "a": 1, "b": "two"}, {"a": 2}, 0),
            ({"x-match": "all", "present": None}, {"present": "whatever"}, 1),
        ):
            channel.queue_bind(queue, exchange, "", arguments)
            expect(routed(channel, exchange, "", queue, headers), copies, f"{arguments} and {headers}")
            channel.queue_unbind(queue, exchange, "", arguments)


@case
def exchange_to_exchange():
    with connect() as connection:
        channel, exchange, queue = bound(connection, "fanout")
        source = unique("x")
        channel.exchange_declare(source, "topic")
        channel.queue_bind(queue, exchange)
        channel.exchange_bind(exchange, source, "a.#")
        expect([routed(channel, source, key, queue) for key in ("a.b", "b")], [1, 0])
        channel.exchange_bind(source, exchange, "")
        expect(routed(channel, source, "a.b", queue), 1, "copies through a cycle")
        channel.exchange_unbind(source, exchange, "")
        channel.exchange_unbind(exchange, source, "a.#")
        expect(routed(channel, source, "a.b", queue), 0)
        channel.exchange_delete(source)


@case
def cancel_notify():
    with connect() as connection, connect() as other:
        queue = fill(confirming(connection), 0)
        channel, cancelled = connection.channel(), []
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, lambda *_: None)
        other.channel().queue_delete(queue)
        wait_until(lambda: (connection.process_data_events(0.02), cancelled)[1], "basic.cancel")
        expect(cancelled, [tag])
        expect(channel.is_open, True)


@case
def channel_error_survived():
    with connect() as connection:
        steady = confirming(connection)
        queue = fill(steady, 1)
        for _ in range(3):
            channel = connection.channel()
            number = channel.channel_number
            try:
                channel.queue_declare(unique("missing"), passive=True)
            except ChannelClosedByBroker as closed:
                expect(closed.reply_code, 404)
            expect(connection.channel(number).is_open, True, "the same number opens again")
            connection.channel()
        expect(drain(steady, queue), [("1", False)], "the other channel never noticed")
        steady.queue_delete(queue)


@case
def long_text():
    name = "n" * 255
    with connect() as connection:
        try:
            connection.channel().queue_declare(name, passive=True)
        except ChannelClosedByBroker as closed:
            expect(closed.reply_text, f"NOT_FOUND - no queue '{name}"[:252] + "...", "cut at 255 bytes")


@case
def purge():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 5)
        method, _, _ = channel.basic_get(queue)
        expect(channel.queue_purge(queue).method.message_count, 4, "unacked ones are left alone")
        channel.basic_nack(method.delivery_tag)
        expect(drain(channel, queue), [("1", True)])
        channel.queue_delete(queue)


@case
def delete_conditions():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 2)
        expect(channel.queue_delete(queue, if_unused=True).method.message_count, 2)
        queue = fill(channel, 0)
        channel.queue_delete(queue, if_unused=True, if_empty=True)
        exchange = unique("x")
        channel.exchange_declare(exchange)
        channel.exchange_delete(exchange, if_unused=True)


@case
def heartbeat():
    with connect(heartbeat=1) as connection:
        channel = connection.channel()
        # Quiet but alive: pika answers heartbeats from its loop.
        connection.process_data_events(3)
        channel.queue_declare("", exclusive=True)
