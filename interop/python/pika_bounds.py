"""pika: full queues: x-max-length, x-max-length-bytes, and who is told."""

from pika.exceptions import NackError

from pika_dead import death, deaths, letter_box
from pika_kit import bodies, confirming, connect, exchange, own, ready, send
from suite import case, expect, wait_until


def nacked(channel, queue, body, **options):
    """Whether the broker refused it."""
    try:
        send(channel, queue, body, **options)
    except NackError:
        return True
    return False


@case
def max_length_drops_the_oldest():
    with connect() as connection:
        channel = confirming(connection)
        for arguments in ({"x-max-length": 3}, {"x-max-length": 3, "x-overflow": "drop-head"}):
            queue = own(channel, arguments)
            send(channel, queue, *"12345")
            expect(bodies(channel, queue), ["3", "4", "5"])


@case
def max_length_counts_what_is_ready():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-length": 2})
        send(channel, queue, "1", "2")
        held = [channel.basic_get(queue)[0].delivery_tag for _ in range(2)]
        send(channel, queue, "3", "4")
        expect(ready(channel, queue), 2, "what is held does not count")
        channel.basic_nack(held[1], multiple=True, requeue=True)
        wait_until(lambda: ready(channel, queue) == 2, "what is too many dropped")
        expect(bodies(channel, queue), ["3", "4"], "what came back is the oldest")


@case
def max_length_of_zero_keeps_nothing():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection, {"x-max-length": 0})
        send(channel, queue, "1")
        expect(letters.texts(1), ["1"])
        expect(ready(channel, queue), 0)


@case
def reject_publish_tells_the_publisher():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection, {"x-max-length": 2, "x-overflow": "reject-publish"})
        expect([nacked(channel, queue, body) for body in "1234"], [False, False, True, True])
        expect(bodies(channel, queue), ["1", "2"])
        expect(nacked(channel, queue, "5"), False, "there is room again")
        send(channel, letters.queue, "after")
        expect(letters.texts(1), ["after"], "no dead letters")


@case
def reject_publish_dlx_sends_the_refused_away():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection, {"x-max-length": 1, "x-overflow": "reject-publish-dlx"})
        expect([nacked(channel, queue, body) for body in "12"], [False, True])
        (letter,) = letters.wait(1)
        expect((letter.body, deaths(letter)), (b"2", [death(1, "maxlen", queue)]))
        expect(bodies(channel, queue), ["1"])


@case
def one_full_queue_of_a_fanout_is_told():
    with connect() as connection, exchange(connection, "fanout") as source:
        channel = confirming(connection)
        full, free = own(channel, {"x-max-length": 1, "x-overflow": "reject-publish"}), own(channel)
        channel.queue_bind(full, source)
        channel.queue_bind(free, source)
        expect([nacked(channel, "", body, exchange=source) for body in "12"], [False, True])
        expect((bodies(channel, full), bodies(channel, free)), (["1"], ["1", "2"]))
