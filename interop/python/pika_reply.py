"""pika: replies without a queue of one's own, as its example direct_reply_to does it."""

import threading

import pika
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from pika_kit import confirming, connect, ready
from suite import case, expect, unique, wait_until

REPLY_TO = "amq.rabbitmq.reply-to"


def request(channel, queue, body, **more):
    properties = pika.BasicProperties(reply_to=REPLY_TO, **more)
    channel.basic_publish("", queue, body, properties)


def refused(connection, what, code, text):
    """What a fresh channel is closed with."""
    channel = connection.channel()
    try:
        what(channel)
        channel.basic_qos()
    except ChannelClosedByBroker as closed:
        expect((closed.reply_code, closed.reply_text), (code, text))
    else:
        raise AssertionError(f"not refused: {text}")


def serve(queue, count):
    """Answers that many requests on a connection of its own; a channel for each answer."""

    def answer(channel, method, properties, body):
        with connect() as other:
            other.channel().basic_publish(
                "", properties.reply_to, body[::-1], pika.BasicProperties(correlation_id=properties.correlation_id))
        channel.basic_ack(method.delivery_tag)
        served.append(properties.reply_to)
        if len(served) == count:
            channel.stop_consuming()

    served = []
    with connect() as connection:
        channel = connection.channel()
        channel.basic_consume(queue, answer)
        channel.start_consuming()
    return served


@case
def reply_to_another_connection():
    queue = unique()
    with connect() as connection:
        channel = confirming(connection)
        channel.queue_declare(queue)
        replies = []
        channel.basic_consume(
            REPLY_TO, lambda _, method, properties, body: replies.append((properties.correlation_id, body)),
            auto_ack=True)
        server = threading.Thread(target=serve, args=(queue, 3))
        server.start()
        for number in range(3):
            request(channel, queue, b"ask%d" % number, correlation_id=str(number), headers={"n": number}, delivery_mode=2)
        wait_until(lambda: connection.process_data_events(0.05) or len(replies) == 3, "three replies")
        server.join()
        expect(replies, [("0", b"0ksa"), ("1", b"1ksa"), ("2", b"2ksa")])
        channel.queue_delete(queue)


@case
def reply_name_is_rewritten_and_goes_with_the_channel():
    queue = unique()
    with connect() as connection, connect() as other:
        channel, watcher = confirming(connection), confirming(other)
        watcher.queue_declare(queue)
        channel.basic_consume(REPLY_TO, lambda *_: None, auto_ack=True)
        request(channel, queue, b"ask", message_id="m", headers={"k": "v"})
        _, properties, body = watcher.basic_get(queue, auto_ack=True)
        expect((properties.message_id, properties.headers, body), ("m", {"k": "v"}, b"ask"))
        name = properties.reply_to
        expect((name.startswith(REPLY_TO + "."), len(name) > len(REPLY_TO) + 20), (True, True), name)
        expect(watcher.queue_declare(name, passive=True).method.consumer_count, 1)
        expect(watcher.queue_declare(name).method.message_count, 0)
        channel.close()

        def returned():
            try:
                watcher.basic_publish("", name, b"late", mandatory=True)
            except UnroutableError as error:
                return error.messages[0].method.reply_code == 312
            return False

        wait_until(returned, "a late reply returned")
        refused(other, lambda c: c.queue_declare(name), 404, f"NOT_FOUND - no queue '{name}' in vhost '/'")
        expect(ready(watcher, queue), 0)
        watcher.queue_delete(queue)


@case
def reply_misuse():
    with connect() as connection:
        refused(connection, lambda c: c.basic_consume(REPLY_TO, lambda *_: None),
                406, "PRECONDITION_FAILED - reply consumer cannot acknowledge")
        refused(connection, lambda c: [c.basic_consume(REPLY_TO, lambda *_: None, auto_ack=True) for _ in range(2)],
                406, "PRECONDITION_FAILED - reply consumer already set")
        refused(connection, lambda c: request(c, "q", b"x"),
                406, "PRECONDITION_FAILED - fast reply consumer does not exist")
        refused(connection, lambda c: c.queue_bind(REPLY_TO, "amq.direct", "k"),
                404, f"NOT_FOUND - no queue '{REPLY_TO}' in vhost '/'")
        refused(connection, lambda c: c.basic_get(REPLY_TO), 404, f"NOT_FOUND - no queue '{REPLY_TO}' in vhost '/'")
        expect(connection.channel().queue_declare(REPLY_TO, passive=True).method.consumer_count, 1)
