"""pika: streams: read again and again, from anywhere, by many; and the kinds of queues told apart."""

import datetime
import time

from pika.exceptions import ChannelClosedByBroker

from pika_kit import ANY, Inbox, confirming, connect, kept, needs, older_than, ready, refusal, restarted, send
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


@case
def stream_is_read_again_and_again():
    with connect() as connection, kept(connection, STREAM) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 10, headers={"mine": 1}, message_id="m", delivery_mode=2)
        for _ in range(2):
            inbox = reader(connection, queue, "first")
            expect(inbox.texts(10), [str(number) for number in range(10)])
            expect([offset(letter) for letter in inbox.got], list(range(10)))
            letter = inbox.got[0]
            expect((letter.properties.headers["mine"], letter.properties.message_id), (1, "m"))
            expect((letter.method.redelivered, letter.method.exchange, letter.method.routing_key), (False, "", queue))
            inbox.channel.basic_ack(0, multiple=True)
            inbox.channel.close()
        wait_until(lambda: ready(channel, queue) == 10, "all still there")


@case
def stream_offsets():
    with connect() as connection, kept(connection, STREAM) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 10)
        readers = {name: reader(connection, queue, where) for name, where in {
            "nothing said": None, "next": "next", "number": 4, "beyond": 1000, "first": "first", "last": "last",
        }.items()}
        numbered(channel, queue, 5, first=10)
        for name, first in (("nothing said", 10), ("next", 10), ("number", 4), ("first", 0)):
            expect(readers[name].texts(15 - first), [str(number) for number in range(first, 15)], name)
            expect([offset(letter) for letter in readers[name].got], list(range(first, 15)), name)
        last = readers["last"]
        last.until(lambda: last.got and last.got[-1].body == b"14", "the last one")
        begins = offset(last.got[0])
        expect([letter.body for letter in last.got], [b"%d" % number for number in range(begins, 15)])
        if not 0 < begins < 10:
            raise AssertionError(f"last began at {begins}")
        for letter in readers["beyond"].got:
            raise AssertionError(f"offset 1000 got {letter}")


@case
def stream_offset_by_time():
    with connect() as connection, kept(connection, STREAM) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 5)
        # The wire's timestamps are whole seconds.
        border = int(time.time()) + 1
        wait_until(lambda: time.time() > border + 0.05, "the next second")
        numbered(channel, queue, 5, first=5)

        def since(seconds):
            return reader(connection, queue, datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))

        expect(since(border).texts(5), ["5", "6", "7", "8", "9"])
        expect(since(border - 3600).texts(10), [str(number) for number in range(10)])
        ahead = since(border + 3600)
        numbered(channel, queue, 1, first=10)
        expect(ahead.texts(1), ["10"], "there is nothing so late: what comes next")


@case
def stream_offset_by_interval():
    with connect() as connection, kept(connection, STREAM) as queue:
        numbered(confirming(connection), queue, 5)
        expect(reader(connection, queue, "1h").texts(5), [str(number) for number in range(5)])


@case
def stream_readers_at_their_own_pace():
    with connect() as connection, connect() as other, kept(connection, STREAM) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 30)
        slow, fast = reader(connection, queue, "first", prefetch=5), reader(other, queue, "first", prefetch=7)
        fast_texts = []

        def all_read():
            for letter in fast.got[len(fast_texts):]:
                fast_texts.append(letter.body.decode())
                fast.ack(letter)
            return len(fast_texts) == 30

        fast.until(all_read, "thirty read")
        expect(fast_texts, [str(number) for number in range(30)])
        expect(slow.texts(5), ["0", "1", "2", "3", "4"], "its prefetch")
        slow.channel.basic_ack(slow.got[2].method.delivery_tag, multiple=True)
        expect(slow.texts(8)[-3:], ["5", "6", "7"])


@case
def stream_is_written_and_read_while_it_grows():
    with connect() as connection, connect() as other, kept(connection, STREAM) as queue:
        inbox = reader(other, queue, "first")
        channel = connection.channel()
        for number in range(1000):
            channel.basic_publish("", queue, b"%d" % number)
        read = []

        def all_read():
            fresh = inbox.got[len(read):]
            read.extend(int(letter.body) for letter in fresh)
            if fresh:
                inbox.channel.basic_ack(fresh[-1].method.delivery_tag, multiple=True)
            return len(read) == 1000

        inbox.until(all_read, "a thousand")
        expect(read, list(range(1000)))


@case
def stream_by_exchange_with_a_filter():
    """The filter is the broker's; what it lets through by chance the application leaves out, as it must."""
    with connect() as connection, kept(connection, STREAM) as queue:
        needs(connection, "3.13", "x-stream-filter")
        channel = confirming(connection)
        channel.queue_bind(queue, "amq.topic", queue)
        for number in range(30):
            name = ("red", "green", None)[number % 3]
            send(channel, queue, str(number), exchange="amq.topic", headers=name and {"x-stream-filter-value": name})

        def read(wanted, **arguments):
            inbox = reader(connection, queue, "first", **{key.replace("_", "-"): value for key, value in arguments.items()})

            def chosen():
                mine = [letter for letter in inbox.got if letter.properties.headers.get("x-stream-filter-value") in wanted]
                return mine if len(mine) == 10 * len(wanted) else None

            inbox.until(chosen, str(wanted))
            expect([offset(letter) for letter in chosen()],
                   [number for number in range(30) if ("red", "green", None)[number % 3] in wanted])
            inbox.channel.close()

        read(["red"], x_stream_filter="red")
        read(["red", "green"], x_stream_filter=["red", "green"])
        read(["green", None], x_stream_filter=["green"], x_stream_match_unfiltered=True)


@case
def stream_forgets_its_oldest_by_size():
    with connect() as connection, kept(connection, {
        **STREAM, "x-max-length-bytes": 400_000, "x-stream-max-segment-size-bytes": 100_000,
    }) as queue:
        channel = confirming(connection)
        numbered(channel, queue, 150, size=10_000)

        def first():
            inbox = reader(connection, queue, "first", prefetch=1)
            inbox.until(lambda: inbox.got, "the first")
            inbox.channel.close()
            return offset(inbox.got[0])

        wait_until(lambda: first() > 50, "the oldest gone")
        last = reader(connection, queue, "last")
        last.until(lambda: last.got and last.got[-1].body.endswith(b"0149"), "the newest")


@case
def kinds_are_told_apart_and_none_is_classic():
    with connect() as connection:
        for first, second in (({}, {"x-queue-type": "classic"}), ({"x-queue-type": "classic"}, {})):
            with kept(connection, first) as queue:
                connection.channel().queue_declare(queue, durable=True, arguments=second)
        for kind in ("quorum", "stream"):
            with kept(connection, {"x-queue-type": kind}) as queue:
                connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": kind})
                code, _ = refusal(lambda channel, queue=queue: channel.queue_declare(queue, durable=True))
                expect(code, 406, kind)


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


@case(alone=True)
def kinds_survive_a_kill():
    """A quorum queue has what was confirmed, persistent or not; a stream goes on from a stored offset."""
    before = connect()
    channel = confirming(before)
    with kept(before, STREAM) as stream, kept(before, {"x-queue-type": "quorum", "x-delivery-limit": 5}) as quorum:
        numbered(channel, stream, 100)
        numbered(channel, quorum, 20)
        inbox = reader(before, stream, "first", prefetch=10)
        stored = offset(inbox.wait(10)[-1])
        Inbox(before, quorum, auto_ack=False, prefetch=3).wait(3)
        restarted(before)
        with connect() as after:
            awake(after, stream)
            awake(after, quorum)
            channel = confirming(after)
            numbered(channel, stream, 10, first=100)
            inbox = reader(after, stream, stored + 1)
            expect(inbox.texts(100), [str(number) for number in range(stored + 1, 110)])
            expect([offset(letter) for letter in inbox.got], list(range(stored + 1, 110)), "the same offsets")
            again = Inbox(after, quorum, auto_ack=False)
            got = [(int(letter.body), letter.method.redelivered) for letter in again.wait(20)]
            if older_than(after, ANY):
                # It may find out only now that the one who held some is dead, and then they come last.
                got.sort()
            expect([number for number, _ in got], list(range(20)))
            # What was delivered is flagged; a broker that was killed may flag more, it cannot know.
            expect([flagged for _, flagged in got[:3]], [True] * 3)
