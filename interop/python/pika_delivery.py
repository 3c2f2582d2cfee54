"""pika, blocking and callback style: publishing, delivery, settlement, transactions, tables, bodies, a killed broker."""

import datetime
import decimal

import pika
from pika import spec
from pika.exceptions import AMQPConnectionError, UnroutableError

from pika_kit import PERSISTENT, confirming, connect, drain, fill, gone, ready
from suite import URL, case, expect, restart_broker, unique, wait_until


@case
def confirm():
    with connect() as connection:
        channel = confirming(connection)
        for durable, properties in ((False, None), (True, PERSISTENT)):
            queue = unique()
            channel.queue_declare(queue, durable=durable)
            for number in range(20):
                channel.basic_publish("", queue, str(number).encode(), properties)
            expect(ready(channel, queue), 20)
            expect([body for body, _ in drain(channel, queue)], [str(n) for n in range(20)], "order")
            channel.queue_delete(queue)


@case
def confirms_in_flight():
    count, queue = 5000, unique()
    seen = {"ack": 0, "nack": 0}

    def opened(connection):
        connection.channel(on_open_callback=lambda channel: channel.confirm_delivery(
            confirmed, callback=lambda _: channel.queue_declare(queue, durable=True, callback=lambda _: publish(channel))))

    def publish(channel):
        for number in range(count):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)

    def confirmed(frame):
        method = frame.method
        kind = "ack" if isinstance(method, spec.Basic.Ack) else "nack"
        seen[kind] = seen[kind] + 1 if not method.multiple else method.delivery_tag
        high[0] = max(high[0], method.delivery_tag)
        outstanding.difference_update(
            set(range(1, method.delivery_tag + 1)) if method.multiple else {method.delivery_tag})
        if not outstanding:
            loop.close()

    high, outstanding = [0], set(range(1, count + 1))
    loop = pika.SelectConnection(
        pika.URLParameters(URL), on_open_callback=opened,
        on_close_callback=lambda connection, _: connection.ioloop.stop())
    loop.ioloop.call_later(30, loop.ioloop.stop)
    loop.ioloop.start()
    expect((len(outstanding), seen["nack"], high[0]), (0, 0, count), "outstanding, nacked, highest tag")
    with connect() as connection:
        channel = connection.channel()
        expect(channel.queue_delete(queue).method.message_count, count)


@case
def mandatory_return():
    with connect() as connection:
        channel = confirming(connection)
        try:
            channel.basic_publish("", unique("nowhere"), b"back", pika.BasicProperties(message_id="7"), mandatory=True)
        except UnroutableError as returned:
            # Raised at the ack, from what had been returned before it.
            message = returned.messages[0]
            expect((message.method.reply_code, message.method.reply_text), (312, "NO_ROUTE"))
            expect((message.body, message.properties.message_id), (b"back", "7"))
        else:
            raise AssertionError("nothing was returned before the ack")
        queue = fill(channel, 0)
        channel.basic_publish("", queue, b"m", mandatory=True)
        channel.queue_delete(queue)


@case
def prefetch():
    with connect() as connection:
        queue = fill(confirming(connection), 20)
        channel, watcher = connection.channel(), connection.channel()
        channel.basic_qos(prefetch_count=5)
        got = []
        channel.basic_consume(queue, lambda _, method, __, body: got.append((method.delivery_tag, body)))
        wait_until(lambda: (connection.process_data_events(0.02), len(got) >= 5)[1], "five deliveries")
        # Once fifteen are counted as ready, the broker has handed out five and no more.
        expect((ready(watcher, queue), len(got)), (15, 5))
        channel.basic_ack(2, multiple=True)
        wait_until(lambda: (connection.process_data_events(0.02), len(got) >= 7)[1], "two more")
        expect((ready(watcher, queue), len(got)), (13, 7))
        channel.basic_nack(3, requeue=False)
        wait_until(lambda: (connection.process_data_events(0.02), len(got) >= 8)[1], "one more")
        expect([body for _, body in got], [str(n).encode() for n in range(1, 9)], "order")
        watcher.queue_delete(queue)


@case
def prefetch_global():
    with connect() as connection:
        queue = fill(confirming(connection), 10)
        channel, watcher = connection.channel(), connection.channel()
        channel.basic_qos(prefetch_count=3, global_qos=True)
        got = []
        for _ in range(2):
            channel.basic_consume(queue, lambda _, method, __, ___: got.append(method.delivery_tag))
        wait_until(lambda: (connection.process_data_events(0.02), len(got) >= 3)[1], "three deliveries")
        expect(ready(watcher, queue), 7, "the channel's consumers share the limit")
        channel.basic_qos(prefetch_count=5, global_qos=True)
        wait_until(lambda: (connection.process_data_events(0.02), len(got) >= 5)[1], "a raised limit")
        expect(ready(watcher, queue), 5)
        watcher.queue_delete(queue)


@case
def requeue():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 5)
        tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(3)]
        channel.basic_reject(tags[1], requeue=True)
        method, _, body = channel.basic_get(queue)
        expect((body, method.redelivered), (b"2", True), "rejected: first again, and flagged")
        channel.basic_nack(method.delivery_tag, requeue=True)
        channel.basic_nack(tags[0], requeue=True)
        expect(drain(channel, queue), [("1", True), ("2", True), ("4", False), ("5", False)], "old places")
        channel.basic_nack(0, multiple=True, requeue=True)
        expect(drain(channel, queue), [("3", True)], "nack of all")
        channel.basic_publish("", queue, b"6")
        method, _, _ = channel.basic_get(queue)
        channel.basic_reject(method.delivery_tag, requeue=False)
        expect(drain(channel, queue), [], "rejected for good")
        channel.queue_delete(queue)


@case
def channel_close_requeues():
    with connect() as connection, connect() as other:
        channel = confirming(connection)
        queue = fill(channel, 3)
        holder = connection.channel()
        holder.basic_get(queue)
        holder.basic_get(queue)
        holder.close()
        wait_until(lambda: ready(channel, queue) == 3, "back after channel.close")
        dropped = other.channel()
        dropped.basic_get(queue)
        other.close()
        wait_until(lambda: ready(channel, queue) == 3, "back after connection.close")
        expect(drain(channel, queue), [("1", True), ("2", True), ("3", False)])
        channel.queue_delete(queue)


@case
def get():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 3)
        method, _, body = channel.basic_get(queue)
        expect((body, method.message_count, method.redelivered, method.exchange, method.routing_key),
               (b"1", 2, False, "", queue))
        channel.basic_ack(method.delivery_tag)
        expect(drain(channel, queue), [("2", False), ("3", False)])
        expect(channel.basic_get(queue)[0], None, "empty")
        channel.queue_delete(queue)


@case
def tx():
    with connect() as connection:
        queue = fill(confirming(connection), 1)
        channel, watcher = connection.channel(), connection.channel()
        channel.tx_select()
        channel.basic_publish("", queue, b"2")
        method, _, _ = channel.basic_get(queue)
        channel.basic_ack(method.delivery_tag)
        expect(ready(watcher, queue), 0, "before the commit")
        channel.tx_rollback()
        expect(ready(watcher, queue), 0, "rolled back: no publish, and the delivery still unacked")
        channel.basic_publish("", queue, b"3")
        channel.basic_publish("", queue, b"4")
        channel.basic_ack(method.delivery_tag)
        channel.tx_commit()
        expect(ready(watcher, queue), 2, "committed")
        channel.close()
        expect(drain(watcher, queue), [("3", False), ("4", False)], "the ack was committed too")
        watcher.queue_delete(queue)


@case
def header_table():
    table = {
        "text": "täxt", "empty": "", "bytes": b"\x00\xff", "true": True, "false": False, "small": -5, "int": -70000,
        "long": -(2 ** 40), "huge": 2 ** 63 - 1, "decimal": decimal.Decimal("1.25"), "none": None,
        "time": datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.timezone.utc), "table": {"in": {"deep": 1}}, "array": [1, "a", True, None, {"k": [2]}],
    }
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 0)
        channel.basic_publish("", queue, b"m", pika.BasicProperties(headers=table))
        _, properties, _ = channel.basic_get(queue, auto_ack=True)
        expect(properties.headers, table)
        channel.queue_delete(queue)


@case
def properties():
    sent = dict(
        content_type="text/plain", content_encoding="utf-8", headers={"a": 1}, delivery_mode=2, priority=5,
        correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1700000000, type="t",
        user_id="guest", app_id="a", cluster_id="cl",
    )
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 0)
        for kept in (sent, {}, {"priority": 0, "timestamp": 0, "content_type": ""}):
            channel.basic_publish("", queue, b"m", pika.BasicProperties(**kept))
            _, back, _ = channel.basic_get(queue, auto_ack=True)
            for key in sent:
                expect(getattr(back, key), kept.get(key), key)
        channel.queue_delete(queue)


@case
def large_body():
    body = bytes(range(256)) * (8 * 1024 * 4) + b"end"
    with connect() as connection:
        channel = confirming(connection)
        queue = unique()
        channel.queue_declare(queue, durable=True)
        channel.basic_publish("", queue, body, PERSISTENT)
        method, _, back = channel.basic_get(queue)
        expect(len(back), len(body))
        expect(back == body, True, "same bytes")
        channel.basic_nack(method.delivery_tag)
        got = []
        channel.basic_consume(queue, lambda _, method, __, back: got.append((back == body, method.redelivered)))
        wait_until(lambda: (connection.process_data_events(0.02), got)[1], "delivery")
        expect(got, [(True, True)])
        channel.queue_delete(queue)


@case
def frame_max_4096():
    body = bytes(range(256)) * 100
    with connect(frame_max=4096) as connection:
        channel = confirming(connection)
        queue = fill(channel, 0)
        channel.basic_publish("", queue, body)
        expect(channel.basic_get(queue, auto_ack=True)[2] == body, True)
        channel.queue_delete(queue)


@case
def empty_body():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 0)
        channel.basic_publish("", queue, b"")
        channel.basic_publish("", queue, b"after")
        expect(drain(channel, queue), [("", False), ("after", False)])
        channel.queue_delete(queue)


@case
def recover():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 3)
        channel.basic_get(queue)
        channel.basic_get(queue)
        channel.basic_recover(requeue=True)
        expect(drain(channel, queue), [("1", True), ("2", True), ("3", False)])
        channel.queue_delete(queue)


@case
def fair_dispatch():
    with connect() as connection:
        queue = fill(confirming(connection), 0)
        channel, got = connection.channel(), {}
        channel.basic_qos(prefetch_count=1)
        for tag in ("one", "two", "three"):
            channel.basic_consume(queue, lambda _, method, __, ___: got.setdefault(method.consumer_tag, []).append(1), consumer_tag=tag)
        publisher = confirming(connection)
        for _ in range(3):
            publisher.basic_publish("", queue, b"m")
        wait_until(lambda: (connection.process_data_events(0.02), len(got) == 3)[1], "one message each")
        channel.close()
        publisher.queue_delete(queue)


@case
def restart():
    queue, exchange, transient = unique(), unique("x"), unique()
    with connect() as connection:
        channel = confirming(connection)
        channel.queue_declare(queue, durable=True)
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_bind(queue, exchange, "kept.#")
        channel.queue_declare(transient)
        for number in range(200):
            channel.basic_publish(exchange, f"kept.{number}", b"%d" % number, PERSISTENT)
        channel.basic_publish(exchange, "kept.transient", b"transient")
        held, _, _ = channel.basic_get(queue)
        taken, _, _ = channel.basic_get(queue)
        channel.basic_ack(taken.delivery_tag)
        try:
            restart_broker()
        finally:
            if connection.is_open:
                try:
                    connection.close()
                except AMQPConnectionError:
                    pass
    with connect() as connection:
        channel = confirming(connection)
        got = drain(channel, queue)
        wanted = [str(n) for n in range(200)]
        bodies = [body for body, _ in got]
        # The settle of number 1 was never confirmed: it may be back, but only it may be missing.
        expect([b for b in bodies if b != "1"], [b for b in wanted if b != "1"], "bodies after the restart")
        expect(dict(got)["0"], True, "what was held is flagged redelivered")
        channel.basic_publish(exchange, "kept.again", b"routed", PERSISTENT)
        expect(drain(channel, queue), [("routed", False)], "the binding is back")
        channel.exchange_delete(exchange)
        channel.queue_delete(queue)
        gone(connection, transient)
