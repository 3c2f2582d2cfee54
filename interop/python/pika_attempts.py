"""pika: how often something is tried: x-delivery-limit, x-delivery-count, delayed retries, consumer timeouts."""

import time

from pika_dead import death, deaths
from pika_kit import ANY, Inbox, beyond_rabbitmq, confirming, connect, drop, kept, needs, older_than, own, ready, send
from suite import Skip, case, expect, wait_until


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


@case
def delivery_limit_of_a_quorum_queue():
    with connect() as connection:
        limited(connection, "quorum")


@case
def delivery_limit_of_a_classic_queue():
    with connect() as connection:
        beyond_rabbitmq(connection, "x-delivery-limit on a classic queue")
        limited(connection, "classic")


@case
def delivery_count_of_a_quorum_queue_by_get():
    with connect() as connection:
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum"}) as queue:
            send(channel, queue, "m", delivery_mode=2)
            for wanted in range(4):
                method, properties, _ = wait_until(lambda: got_by(channel, queue), "the message")
                # The first time RabbitMQ says 0 to a get and nothing to a consumer.
                expect((properties.headers or {}).get("x-delivery-count", 0), wanted)
                channel.basic_nack(method.delivery_tag, requeue=True)


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


@case
def no_limit_no_end_of_a_quorum_queue_either():
    """Nothing is dropped that nobody asked to drop; RabbitMQ from 4.0 on does so after twenty times."""
    with connect() as connection:
        if older_than(connection, ANY) and not older_than(connection, "4.0"):
            raise Skip("a limit of twenty by default")
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum"}) as queue:
            send(channel, queue, "m", delivery_mode=2)
            inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
            for number in range(1, 31):
                inbox.requeue(inbox.wait(number)[-1])
            expect(count(inbox.wait(31)[-1]), 30)


@case
def dropped_connection_counts_as_a_delivery():
    with connect() as connection:
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum"}) as queue:
            send(channel, queue, "m", delivery_mode=2)
            other = connect()
            Inbox(other, queue, auto_ack=False).wait(1)
            drop(other)
            letter = Inbox(connection, queue, auto_ack=False).wait(1)[0]
            expect((letter.method.redelivered, count(letter)), (True, 1))


@case
def delayed_retry_waits_longer_each_time():
    with connect() as connection:
        needs(connection, "4.3", "x-delayed-retry-type")
        channel = confirming(connection)
        with kept(connection, {
            "x-queue-type": "quorum", "x-delayed-retry-type": "all", "x-delayed-retry-min": 150, "x-delayed-retry-max": 300,
        }) as queue:
            inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
            send(channel, queue, "bad", delivery_mode=2)
            send(channel, queue, "good", delivery_mode=2)
            began = time.monotonic()
            inbox.requeue(inbox.wait(1)[0])
            # Others do not wait for it.
            letter = inbox.wait(2)[-1]
            expect((letter.body, time.monotonic() - began < 0.15), (b"good", True))
            inbox.ack(letter)
            for attempt, least in ((3, 0.15), (4, 0.3), (5, 0.3)):
                letter = inbox.wait(attempt)[-1]
                waited = time.monotonic() - began
                expect((letter.body, count(letter)), (b"bad", attempt - 2))
                if not least - 0.01 < waited < least + 2:
                    raise AssertionError(f"back after {waited} s, at least {least} wanted")
                began = time.monotonic()
                inbox.requeue(letter)


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


@case
def consumer_timeout_by_the_queue():
    with connect() as connection:
        beyond_rabbitmq(connection, "a consumer timeout that leaves the channel alone")
        timed_out(connection, {"x-consumer-timeout": 200}, None)


@case
def consumer_timeout_by_the_consumer():
    with connect() as connection:
        beyond_rabbitmq(connection, "a consumer timeout that leaves the channel alone")
        timed_out(connection, None, {"x-consumer-timeout": 200})


@case
def who_settles_in_time_is_not_timed_out():
    with connect() as connection:
        beyond_rabbitmq(connection, "a consumer timeout of less than a minute")
        channel = confirming(connection)
        queue = own(channel, {"x-consumer-timeout": 300})
        inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
        send(channel, queue, *"abcd")
        for number in range(1, 5):
            letter = inbox.wait(number)[-1]
            later = time.monotonic() + 0.1
            inbox.until(lambda: time.monotonic() > later, "a while")
            inbox.ack(letter)
        # Idle, it holds nothing that could be late.
        later = time.monotonic() + 0.4
        inbox.until(lambda: time.monotonic() > later, "a while")
        expect(inbox.cancelled, False)
