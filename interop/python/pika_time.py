"""pika: what goes by itself: x-message-ttl, expiration, x-expires."""

import time

from pika.exceptions import UnroutableError

from pika_kit import Inbox, beyond_rabbitmq, bodies, confirming, connect, drain, own, ready, send
from suite import case, expect, wait_until


def dying(channel, connection, arguments=None):
    """A queue with these arguments, and the inbox of its dead letters."""
    grave = own(channel)
    queue = own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave, **(arguments or {})})
    return queue, Inbox(connection, grave)


def vanished(connection, queue):
    """Waits until the queue is no more without asking for it: every question keeps it."""
    channel = confirming(connection)

    def returned():
        try:
            channel.basic_publish("", queue, b"m", mandatory=True)
        except UnroutableError:
            return True
        return False

    wait_until(returned, f"{queue} gone")
    channel.close()


@case
def queue_ttl_expires_what_waits():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = dying(channel, connection, {"x-message-ttl": 150})
        began = time.monotonic()
        send(channel, queue, "1", "2", "3")
        expect(letters.texts(3), ["1", "2", "3"], "oldest first")
        if not 0.14 < time.monotonic() - began < 5:
            raise AssertionError(f"expired after {time.monotonic() - began} s")
        expect(drain(channel, queue), [])


@case
def queue_ttl_of_zero_delivers_at_once_or_not_at_all():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = dying(channel, connection, {"x-message-ttl": 0})
        send(channel, queue, "nobody")
        expect(letters.texts(1), ["nobody"])
        inbox = Inbox(connection, queue)
        send(channel, queue, "somebody")
        expect(inbox.texts(1), ["somebody"])
        expect(len(letters.got), 1, "dead letters")


@case
def expiration_of_a_message():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = dying(channel, connection)
        send(channel, queue, "short", expiration="100")
        send(channel, queue, "none")
        (letter,) = letters.wait(1)
        expect((letter.body, letter.properties.expiration), (b"short", None), "the property is taken off")
        expect(letter.properties.headers["x-death"][0]["original-expiration"], "100")
        expect(bodies(channel, queue), ["none"])


@case
def lower_of_expiration_and_queue_ttl():
    with connect() as connection:
        channel = confirming(connection)
        patient, late = dying(channel, connection, {"x-message-ttl": 60_000})
        hasty, early = dying(channel, connection, {"x-message-ttl": 50})
        send(channel, patient, "m", expiration="50")
        send(channel, hasty, "m", expiration="60000")
        expect((late.texts(1), early.texts(1)), (["m"], ["m"]))
        expect((ready(channel, patient), ready(channel, hasty)), (0, 0))


@case
def expired_is_never_delivered_behind_a_longer_lived_head():
    """What every broker promises; when it goes is its own affair."""
    with connect() as connection:
        channel = confirming(connection)
        queue, gone_by = own(channel), time.monotonic() + 0.06
        send(channel, queue, "head", expiration="60000")
        send(channel, queue, "short", expiration="50")
        send(channel, queue, "last", expiration="60000")
        wait_until(lambda: time.monotonic() > gone_by, "its time")
        expect(bodies(channel, queue), ["head", "last"])


@case
def expired_goes_from_behind_a_longer_lived_head():
    with connect() as connection:
        beyond_rabbitmq(connection, "expiry behind the head of a classic queue")
        channel = confirming(connection)
        queue, letters = dying(channel, connection)
        began = time.monotonic()
        send(channel, queue, "head", expiration="60000")
        send(channel, queue, "second", expiration="200")
        send(channel, queue, "first", expiration="100")
        send(channel, queue, "last")
        expect(letters.texts(2), ["first", "second"])
        if not 0.19 < time.monotonic() - began < 5:
            raise AssertionError(f"expired after {time.monotonic() - began} s")
        expect(bodies(channel, queue), ["head", "last"])


@case
def held_does_not_expire_until_it_comes_back():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = dying(channel, connection)
        send(channel, queue, "held", expiration="100")
        method, _, _ = channel.basic_get(queue)
        past = time.monotonic() + 0.15
        wait_until(lambda: (connection.process_data_events(0.01), time.monotonic() > past)[1], "its time")
        expect(letters.got, [], "dead letters while it is held")
        channel.basic_nack(method.delivery_tag, requeue=True)
        expect(letters.texts(1), ["held"])


@case
def unused_queue_goes():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-expires": 200})
        send(channel, queue, "m")
        vanished(connection, queue)


@case
def used_queue_stays():
    """A consumer keeps it, so do a get, a declaration, and a passive one; then it goes after its whole time."""
    with connect() as connection:
        channel = confirming(connection)
        arguments = {"x-expires": 300}
        consumed, asked, declared, named = [own(channel, arguments) for _ in range(4)]
        inbox = Inbox(connection, consumed)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            channel.basic_get(asked)
            own(channel, arguments, declared)
            ready(channel, named)
            connection.process_data_events(0.05)
        for queue in (asked, declared, named):
            channel.basic_publish("", queue, b"m", mandatory=True)
        send(channel, consumed, "m")
        expect(inbox.texts(1), ["m"])
        left = time.monotonic()
        inbox.leave()
        vanished(connection, consumed)
        if time.monotonic() - left < 0.28:
            raise AssertionError(f"gone {time.monotonic() - left} s after its consumer")
        for queue in (asked, declared, named):
            vanished(connection, queue)


@case
def expiry_of_the_queue_makes_no_dead_letters():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = dying(channel, connection, {"x-expires": 100})
        send(channel, queue, "m")
        vanished(connection, queue)
        send(channel, letters.queue, "after")
        expect(letters.texts(1), ["after"])
