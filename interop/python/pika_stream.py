"""pika: streams: read again and again, from anywhere, by many; and the kinds of queues told apart."""

import datetime
import time

from pika.exceptions import ChannelClosedByBroker

from pika_kit import Inbox, confirming, connect, kept, needs, older_than, ready, refusal, restarted, send
from suite import case, expect, wait_until

STREAM = {"x-queue-type": "stream"}


def numbered(channel, queue, count, first=0, size=0, **properties):
    """Bodies first..first+count, confirmed one by one, so that none shares a chunk with another."""
    send(channel, queue, *[str(number).zfill(size) for number in range(first, first + count)], **properties)


def reader(connection, queue, offset=None, prefetch=200, **arguments):
    """Reads from there on; settles what it has got."""
    if offset is not None:
        arguments["x-stream-offset"] = offset
    return Inbox(connection, queue, auto_ack=False, prefetch=prefetch, arguments=arguments)


def offset(letter):
    return letter.properties.headers["x-stream-offset"]


def awake(connection, queue):
    """Waits until a queue answers: RabbitMQ's lasting kinds need a while after a start."""

    def answers():
        channel = connection.channel()
        try:
            channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as closed:
            if "is down or inaccessible" in closed.reply_text:
                return False
            raise
        channel.close()
        return True

    wait_until(answers, f"{queue} awake")
