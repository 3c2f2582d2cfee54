"""pika: message groups, by the header JMSXGroupID: one group to one consumer at a time, in order."""

from pika_kit import Inbox, beyond_rabbitmq, confirming, connect, drop, kept, own, send
from suite import case, expect


def publish(channel, queue, *names):
    """Bodies such as a1: group a, its first."""
    for name in names:
        send(channel, queue, name, headers={"JMSXGroupID": name[0]}, delivery_mode=2)


@case
def groups_go_side_by_side_and_each_in_order():
    with connect() as connection:
        beyond_rabbitmq(connection, "message groups")
        channel = confirming(connection)
        queue = own(channel)
        workers = [Inbox(connection, queue, auto_ack=False, prefetch=3) for _ in range(3)]
        publish(channel, queue, *[f"{group}{number}" for number in range(10) for group in "abcdef"])
        done = [[] for _ in workers]

        def work():
            for worker, mine in zip(workers, done):
                for letter in worker.got[len(mine):]:
                    mine.append(letter.body.decode())
                    worker.ack(letter)
            return sum(map(len, done)) == 60

        workers[0].until(work, "sixty done")
        for group in "abcdef":
            parts = [part for part in ([body for body in mine if body[0] == group] for mine in done) if part]
            expect(parts, [[f"{group}{number}" for number in range(10)]], "one consumer, in order")
        expect(all(done), True, "every consumer had its share")


@case
def busy_group_does_not_hold_up_others():
    with connect() as connection:
        beyond_rabbitmq(connection, "message groups")
        channel = confirming(connection)
        queue = own(channel)
        busy, free = [Inbox(connection, queue, auto_ack=False, prefetch=1) for _ in range(2)]
        publish(channel, queue, "a1")
        expect(busy.texts(1), ["a1"])
        publish(channel, queue, "a2", "a3", "b1", "b2")
        send(channel, queue, "no group")
        expect(free.texts(1), ["b1"])
        free.ack(free.got[0])
        expect(free.texts(2), ["b1", "b2"], "a2 waits for the one that has a1")
        free.ack(free.got[1])
        expect(free.texts(3)[2], "no group")
        busy.ack(busy.got[0])
        expect(busy.texts(2), ["a1", "a2"])


@case
def group_is_handed_on_when_its_consumer_dies():
    with connect() as connection:
        beyond_rabbitmq(connection, "message groups")
        channel = confirming(connection)
        with kept(connection) as queue:
            other = connect()
            first = Inbox(other, queue, auto_ack=False, prefetch=2)
            publish(channel, queue, "a1", "a2", "a3")
            expect(first.texts(2), ["a1", "a2"])
            second = Inbox(connection, queue, auto_ack=False)
            publish(channel, queue, "a4", "b1")
            expect(second.texts(1), ["b1"])
            drop(other)
            expect(second.texts(5)[1:], ["a1", "a2", "a3", "a4"])
            expect([letter.method.redelivered for letter in second.got], [False, True, True, False, False])


@case
def requeued_of_a_group_comes_before_what_follows():
    with connect() as connection:
        beyond_rabbitmq(connection, "message groups")
        channel = confirming(connection)
        queue = own(channel)
        inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
        Inbox(connection, queue, auto_ack=False, prefetch=1)
        publish(channel, queue, "a1", "a2")
        inbox.requeue(inbox.wait(1)[0])
        inbox.ack(inbox.wait(2)[1])
        expect(inbox.texts(3), ["a1", "a1", "a2"])
