"""pika: dead letters: why, where to, what they say of their deaths, and that they come back counted."""

import datetime

from pika_kit import (
    PERSISTENT, Inbox, bodies, confirming, connect, exchange, kept, needs, older_than, own, ready, restarted, send,
)
from suite import case, expect, unique, wait_until


def letter_box(channel, connection, arguments=None):
    """A queue with these arguments, and the inbox of its dead letters."""
    grave = own(channel)
    queue = own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave, **(arguments or {})})
    return queue, Inbox(connection, grave)


def deaths(letter):
    """x-death without its times."""
    said = []
    for death in letter.properties.headers["x-death"]:
        if not isinstance(death["time"], datetime.datetime):
            raise AssertionError(f"time is {death['time']!r}")
        said.append({key: value for key, value in death.items() if key != "time"})
    return said


def death(count, reason, queue, key=None, exchange="", **more):
    return {"count": count, "reason": reason, "queue": queue, "exchange": exchange, "routing-keys": [key or queue], **more}


@case
def letter_of_the_rejected():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection)
        send(channel, queue, "m", headers={"mine": 1}, message_id="7", delivery_mode=2, priority=3)
        channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
        (letter,) = letters.wait(1)
        expect((letter.method.exchange, letter.method.routing_key, letter.method.redelivered), ("", letters.queue, False))
        expect((letter.body, letter.properties.message_id, letter.properties.priority), (b"m", "7", 3))
        expect(deaths(letter), [death(1, "rejected", queue)])
        headers = {key: value for key, value in letter.properties.headers.items() if not key.startswith("x-last-death")}
        headers.pop("x-death")
        expect(headers, {
            "mine": 1, "x-first-death-reason": "rejected", "x-first-death-queue": queue, "x-first-death-exchange": ""})
        then = letter.properties.headers["x-death"][0]["time"].replace(tzinfo=None)
        age = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - then
        if not datetime.timedelta(seconds=-2) < age < datetime.timedelta(seconds=60):
            raise AssertionError(f"died {age} ago")


@case
def letter_of_the_nacked_by_the_dozen():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection)
        send(channel, queue, *"abcdef")
        tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(6)]
        channel.basic_nack(tags[3], multiple=True, requeue=False)
        expect(letters.texts(4), list("abcd"))
        channel.basic_nack(0, multiple=True, requeue=False)
        expect(letters.texts(6), list("abcdef"))


@case
def letter_of_the_expired():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection, {"x-message-ttl": 50})
        send(channel, queue, "by the queue")
        send(channel, queue, "by itself", expiration="20")
        first, second = sorted(letters.wait(2), key=lambda letter: letter.body, reverse=True)
        expect(deaths(first), [death(1, "expired", queue)])
        expect(deaths(second), [death(1, "expired", queue, **{"original-expiration": "20"})])
        expect(second.properties.expiration, None)


@case
def letter_of_the_dropped():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection, {"x-max-length": 1})
        send(channel, queue, "1", "2", "3")
        letters.wait(2)
        expect([(letter.body, deaths(letter)) for letter in letters.got],
               [(body, [death(1, "maxlen", queue)]) for body in (b"1", b"2")])
        expect(bodies(channel, queue), ["3"])


@case
def letter_says_where_it_had_come_from():
    """The exchange and keys of the publish, CC among them, BCC not; sent on by its own key without another."""
    with connect() as connection, exchange(connection, "topic") as source, exchange(connection, "topic") as grave:
        channel = confirming(connection)
        queue, box = own(channel, {"x-dead-letter-exchange": grave}), own(channel)
        channel.queue_bind(queue, source, "a.#")
        channel.queue_bind(box, grave, "a.b")
        letters = Inbox(connection, box)
        send(channel, "a.b", "m", exchange=source, headers={"CC": ["a.c"], "BCC": ["a.d"]})
        while channel.basic_get(queue)[0]:
            pass
        channel.basic_nack(0, multiple=True, requeue=False)
        (letter,) = letters.wait(1)
        (said,) = deaths(letter)
        expect((said["exchange"], said["queue"], letter.method.exchange, letter.method.routing_key), (source, queue, grave, "a.b"))
        expect(said["routing-keys"], ["a.b", "a.c"])


@case
def last_death_is_told():
    with connect() as connection:
        needs(connection, "3.13", "x-last-death-*")
        channel = confirming(connection)
        second, letters = letter_box(channel, connection, {"x-message-ttl": 20})
        first = own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second})
        send(channel, first, "m")
        channel.basic_reject(channel.basic_get(first)[0].delivery_tag, requeue=False)
        (letter,) = letters.wait(1)
        headers = letter.properties.headers
        expect([headers[f"x-{which}-death-{what}"] for which in ("first", "last") for what in ("reason", "queue", "exchange")],
               ["rejected", first, "", "expired", second, ""])


@case
def newest_death_stands_first():
    with connect() as connection:
        channel = confirming(connection)
        third, letters = letter_box(channel, connection, {"x-message-ttl": 20})
        second = own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": third, "x-max-length": 0})
        first = own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second})
        send(channel, first, "m")
        channel.basic_reject(channel.basic_get(first)[0].delivery_tag, requeue=False)
        (letter,) = letters.wait(1)
        said = deaths(letter)
        expect(said[0], death(1, "expired", third))
        if older_than(connection, "3.13"):
            # It shuffled all but the newest.
            said[1:] = sorted(said[1:], key=lambda one: one["reason"])
        expect(said[1:], [death(1, "maxlen", second), death(1, "rejected", first)])
        expect(letter.properties.headers["x-first-death-queue"], first)


@case
def retry_by_a_waiting_queue_counts_up():
    """The pattern of every retry library: work, reject, wait for a while, back to work."""
    with connect() as connection:
        channel = confirming(connection)
        work, wait = unique("work"), unique("wait")
        own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait}, work)
        own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": work, "x-message-ttl": 30}, wait)
        worker = Inbox(connection, work, auto_ack=False)
        send(channel, work, "job")
        for attempt in range(1, 4):
            letter = worker.wait(attempt)[-1]
            expect(letter.method.redelivered, False, "a letter is a new message")
            if attempt > 1:
                expect(deaths(letter), [death(attempt - 1, "expired", wait), death(attempt - 1, "rejected", work)])
            worker.discard(letter)
        worker.ack(worker.wait(4)[-1])
        expect((ready(channel, work), ready(channel, wait)), (0, 0))


@case
def retry_published_again_by_the_client_counts_up():
    """As Spring does it: the header comes back with the message and is counted on."""
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection)
        headers = None
        for attempt in range(1, 4):
            send(channel, queue, "m", headers=headers)
            channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
            letter = letters.wait(attempt)[-1]
            expect(deaths(letter), [death(attempt, "rejected", queue)])
            headers = letter.properties.headers


@case
def circle_without_a_rejection_is_cut():
    with connect() as connection:
        channel = confirming(connection)
        with exchange(connection, "fanout") as around:
            first, second = unique(), unique()
            own(channel, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second, "x-message-ttl": 20}, first)
            own(channel, {"x-dead-letter-exchange": around, "x-message-ttl": 20}, second)
            witness = Inbox(connection, own(channel))
            channel.queue_bind(first, around)
            channel.queue_bind(witness.queue, around)
            send(channel, first, "m")
            (letter,) = witness.wait(1)
            expect(deaths(letter), [death(1, "expired", second), death(1, "expired", first)])
            # Had it gone around, it would be in one of them or come out again.
            send(channel, first, "n")
            expect([letter.body for letter in witness.wait(2)], [b"m", b"n"])
            expect((ready(channel, first), ready(channel, second)), (0, 0))


@case
def letter_to_nowhere_is_dropped():
    with connect() as connection:
        channel = confirming(connection)
        missing = own(channel, {"x-dead-letter-exchange": unique("missing")})
        unbound = own(channel, {"x-dead-letter-exchange": "amq.direct", "x-dead-letter-routing-key": unique()})
        for queue in (missing, unbound):
            send(channel, queue, "m")
            channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
            wait_until(lambda queue=queue: ready(channel, queue) == 0, "dropped")
        # Neither harms the channel.
        send(channel, missing, "after")
        expect(bodies(channel, missing), ["after"])


@case
def letters_fan_out_and_the_exchange_may_come_later():
    with connect() as connection:
        channel = confirming(connection)
        name = unique("x")
        queue = own(channel, {"x-dead-letter-exchange": name})
        channel.exchange_declare(name, "fanout", auto_delete=True)
        boxes = [Inbox(connection, own(channel)) for _ in range(3)]
        for box in boxes:
            channel.queue_bind(box.queue, name)
        send(channel, queue, "m")
        channel.basic_reject(channel.basic_get(queue)[0].delivery_tag, requeue=False)
        for box in boxes:
            expect(box.texts(1), ["m"])


@case
def purge_delete_and_ack_make_no_letters():
    with connect() as connection:
        channel = confirming(connection)
        queue, letters = letter_box(channel, connection)
        send(channel, queue, "acked", "purged", "deleted")
        channel.basic_ack(channel.basic_get(queue)[0].delivery_tag)
        held = channel.basic_get(queue)[0]
        channel.basic_nack(held.delivery_tag, requeue=True)
        channel.queue_purge(queue)
        send(channel, queue, "deleted")
        channel.queue_delete(queue)
        send(channel, letters.queue, "after")
        expect(letters.texts(1), ["after"])


@case
def letters_of_a_quorum_queue():
    with connect() as connection:
        channel = confirming(connection)
        grave = own(channel)
        letters = Inbox(connection, grave)
        with kept(connection, {
            "x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave,
            "x-message-ttl": 100}) as queue:
            send(channel, queue, "rejected", delivery_mode=2)
            inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
            inbox.discard(inbox.wait(1)[0])
            expect(deaths(letters.wait(1)[0]), [death(1, "rejected", queue)])
            inbox.leave()
            send(channel, queue, "expired", delivery_mode=2)
            expect(deaths(letters.wait(2)[1]), [death(1, "expired", queue)])


@case
def letters_at_least_once():
    """The strategy of a quorum queue: the letter is in the target before the original is gone."""
    with connect() as connection:
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum"}) as grave, kept(connection, {
            "x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave,
            "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish", "x-message-ttl": 100,
        }) as queue:
            for number in range(20):
                channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
            letters = Inbox(connection, grave)
            expect(letters.texts(20), [str(number) for number in range(20)])
            expect(deaths(letters.got[0]), [death(1, "expired", queue)])
            wait_until(lambda: ready(channel, queue) == 0, "the originals gone")


@case(alone=True)
def dead_letters_survive_a_kill():
    """While messages die by the hundred the broker is killed: each is then in one queue or in the other."""
    before = connect()
    channel = confirming(before)
    with kept(before) as grave, kept(before, {
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave, "x-message-ttl": 400}) as queue:
        wanted = {str(number) for number in range(500)}
        plain = before.channel()
        for number in range(499):
            plain.basic_publish("", queue, str(number).encode(), PERSISTENT)
        # The last is confirmed, and with it those before it.
        plain.close()
        channel.basic_publish("", queue, b"499", PERSISTENT)
        wait_until(lambda: ready(channel, grave), "the first dead")
        restarted(before)
        with connect() as after:
            letters = Inbox(after, grave)
            letters.until(lambda: {letter.body.decode() for letter in letters.got} == wanted, "all of them")
            expect({letter.properties.headers["x-first-death-reason"] for letter in letters.got}, {"expired"})
            wait_until(lambda: ready(after.channel(), queue) == 0, "none left behind")
