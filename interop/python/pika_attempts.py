"""pika: how often something is tried: x-delivery-limit, x-delivery-count, delayed retries, consumer timeouts."""

import time

from pika_dead import death, deaths
from pika_kit import Inbox, beyond_rabbitmq, confirming, connect, drop, kept, needs, own, ready, send
from suite import case, expect, wait_until


def count(letter):
    """x-delivery-count, or nothing."""
    return (letter.properties.headers or {}).get("x-delivery-count")


def limited(connection, kind):
    """A message is given out once and as often again as the limit says, then it is a dead letter."""
    channel = confirming(connection)
    grave = own(channel)
    letters = Inbox(connection, grave)
    with kept(connection, {
        "x-queue-type": kind, "x-delivery-limit": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave,
    }) as queue:
        inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
        send(channel, queue, "bad", delivery_mode=2, headers={"mine": 1})
        for attempt, give_back in ((1, inbox.requeue), (2, lambda m: inbox.channel.basic_reject(m.method.delivery_tag)), (3, inbox.requeue)):
            letter = inbox.wait(attempt)[-1]
            expect((letter.method.redelivered, count(letter)), (attempt > 1, attempt - 1 or None), f"delivery {attempt}")
            give_back(letter)
        (letter,) = letters.wait(1)
        expect((letter.body, deaths(letter)), (b"bad", [death(1, "delivery_limit", queue)]))
        expect(letter.properties.headers["mine"], 1)
        send(channel, queue, "good", delivery_mode=2)
        letter = inbox.wait(4)[-1]
        expect((letter.body, letter.method.redelivered, count(letter)), (b"good", False, None))
        inbox.ack(letter)


def got_by(channel, queue):
    got = channel.basic_get(queue)
    return got if got[0] else None


@case
def no_limit_no_end():
    """A classic queue gives out the same message again and again, and says nothing of how often."""
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel)
        send(channel, queue, "m")
        for _ in range(30):
            method, properties, _ = channel.basic_get(queue)
            expect("x-delivery-count" in (properties.headers or {}), False)
            channel.basic_nack(method.delivery_tag, requeue=True)
        wait_until(lambda: ready(channel, queue) == 1, "back")


def timed_out(connection, queue_arguments, consumer_arguments):
    """Who holds a message too long is cancelled; the channel and its other consumers go on."""
    channel = confirming(connection)
    queue, other = own(channel, queue_arguments), own(channel)
    slow = Inbox(connection, queue, auto_ack=False, arguments=consumer_arguments)
    neighbour = []
    slow.channel.basic_consume(other, lambda *_: neighbour.append(1), auto_ack=True)
    send(channel, queue, "m")
    slow.wait(1)
    slow.until(lambda: slow.cancelled, "basic.cancel")
    next_one = Inbox(connection, queue, auto_ack=False)
    (letter,) = next_one.wait(1)
    expect((letter.body, letter.method.redelivered), (b"m", True))
    next_one.ack(letter)
    send(channel, other, "n")
    slow.until(lambda: neighbour, "the channel's other consumer")
    expect(slow.channel.is_open, True)
