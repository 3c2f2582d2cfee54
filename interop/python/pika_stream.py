"""pika: streams: read again and again, from anywhere, by many; and the kinds of queues told apart."""

from pika.exceptions import ChannelClosedByBroker

from pika_kit import Inbox, confirming, connect, kept, ready, send
from suite import case, expect, wait_until

STREAM = {"x-queue-type": "stream"}


def numbered(channel, queue, count, first=0, size=0, **properties):
    """Bodies first..first+count, confirmed one by one, so that none shares a chunk with another."""
    send(channel, queue, *[str(number).zfill(size) for number in range(first, first + count)], **properties)


def offset(letter):
    return letter.properties.headers["x-stream-offset"]


@case
def quorum_queue_as_any_other():
    with connect() as connection, kept(connection, {"x-queue-type": "quorum"}) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 10, delivery_mode=2)
        send(channel, queue, "not persistent")
        inbox = Inbox(connection, queue, auto_ack=False, prefetch=5)
        expect(inbox.texts(5), ["0", "1", "2", "3", "4"])
        inbox.channel.basic_ack(inbox.got[4].method.delivery_tag, multiple=True)
        inbox.wait(10)
        inbox.channel.close()
        expect(wait_until(lambda: ready(channel, queue) == 6, "back"), True)
        expect(channel.queue_purge(queue).method.message_count, 6)


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
