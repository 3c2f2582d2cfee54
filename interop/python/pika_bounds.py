"""pika: full queues: x-max-length, x-max-length-bytes, and who is told."""

from pika.exceptions import NackError

from pika_dead import death, deaths, letter_box
from pika_kit import bodies, confirming, connect, exchange, kept, own, ready, send
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
def max_length_bytes_drops_the_oldest():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-length-bytes": 1000})
        send(channel, queue, "a" * 400, "b" * 400, "c" * 200, headers={"long": "h" * 2000})
        expect(ready(channel, queue), 3, "bodies of just that many bytes")
        send(channel, queue, "d")
        expect([body[0] for body in bodies(channel, queue)], ["b", "c", "d"])
        send(channel, queue, "e" * 2000)
        expect(ready(channel, queue), 0, "one that is too large alone")


@case
def max_length_bytes_and_max_length_together():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-length-bytes": 100, "x-max-length": 3})
        send(channel, queue, *"1234")
        expect(ready(channel, queue), 3, "by number")
        send(channel, queue, "5" * 99)
        expect([body[0] for body in bodies(channel, queue)], ["4", "5"], "by bytes")


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
def reject_publish_by_bytes():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-length-bytes": 100, "x-overflow": "reject-publish"})
        expect([nacked(channel, queue, body * 50) for body in "123"], [False, False, True])
        expect([body[0] for body in bodies(channel, queue)], ["1", "2"])


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


@case
def bounds_of_a_quorum_queue():
    with connect() as connection:
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum", "x-max-length": 2}) as queue:
            send(channel, queue, *"1234", delivery_mode=2)
            wait_until(lambda: ready(channel, queue) == 2, "two kept")
            expect(bodies(channel, queue), ["3", "4"])
        with kept(connection, {"x-queue-type": "quorum", "x-max-length": 2, "x-overflow": "reject-publish"}) as queue:
            # RabbitMQ's quorum queues tell their publishers late: some more may come in.
            wait_until(lambda: nacked(channel, queue, "m", delivery_mode=2), "a nack")
            if not 2 <= ready(channel, queue) < 50:
                raise AssertionError(f"{ready(channel, queue)} are ready")
