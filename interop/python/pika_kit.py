"""What the pika cases share: connections, filled queues, what is ready and what is gone."""

import pika
from pika.exceptions import ChannelClosedByBroker

from suite import URL, unique, wait_until

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect(**changes):
    parameters = pika.URLParameters(URL)
    for key, value in changes.items():
        setattr(parameters, key, value)
    return pika.BlockingConnection(parameters)


def confirming(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


def fill(channel, count, queue=None, properties=None):
    """A queue with bodies 1..count; the channel must confirm."""
    queue = queue or unique()
    channel.queue_declare(queue)
    for number in range(1, count + 1):
        channel.basic_publish("", queue, str(number).encode(), properties)
    return queue


def ready(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def drain(channel, queue):
    """Everything ready, as [(body, redelivered)]."""
    got = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return got
        got.append((body.decode(), method.redelivered))


def gone(connection, queue):
    """Waits until the queue is no more."""

    def missing():
        channel = connection.channel()
        try:
            channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as closed:
            return closed.reply_code == 404
        channel.close()
        return False

    wait_until(missing, f"{queue} gone")
