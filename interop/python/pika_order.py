"""pika: who gets what first: priorities of messages and consumers, one active consumer, exclusive ones, groups."""

from pika.exceptions import ChannelClosedByBroker

from pika_kit import Inbox, beyond_rabbitmq, bodies, confirming, connect, drain, drop, fill, gone, kept, own, send
from suite import case, expect


@case
def highest_priority_first():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-priority": 5})
        for number, priority in enumerate([1, 5, None, 3, 5, 1, 0, 3]):
            send(channel, queue, f"{number}", priority=priority)
        expect(bodies(channel, queue), ["1", "4", "3", "7", "0", "5", "2", "6"], "in each, in order; none is 0")


@case
def priority_above_the_highest_counts_as_the_highest():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-priority": 3})
        for body, priority in (("a", 3), ("b", 200), ("c", 4), ("d", 2)):
            send(channel, queue, body, priority=priority)
        method, properties, _ = channel.basic_get(queue)
        expect(properties.priority, 3)
        _, properties, _ = channel.basic_get(queue)
        expect(properties.priority, 200, "the property stays as sent")
        channel.basic_nack(0, multiple=True, requeue=True)
        expect(bodies(channel, queue), ["a", "b", "c", "d"])


@case
def priorities_are_ignored_without_the_argument():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel)
        for body, priority in (("a", 1), ("b", 9)):
            send(channel, queue, body, priority=priority)
        expect(bodies(channel, queue), ["a", "b"])


@case
def requeued_goes_to_its_place_in_its_priority():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-priority": 9})
        for body, priority in (("a", 5), ("b", 5), ("c", 9), ("d", 1)):
            send(channel, queue, body, priority=priority)
        tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(3)]
        send(channel, queue, "e", priority=7)
        channel.basic_nack(tags[1], requeue=True)
        channel.basic_nack(tags[0], requeue=True)
        expect(drain(channel, queue), [("c", True), ("e", False), ("a", True), ("d", False)])
        channel.basic_nack(tags[2], requeue=True)
        expect(drain(channel, queue), [("b", True)])


@case
def consumer_gets_the_highest_as_it_settles():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-priority": 9})
        inbox = Inbox(connection, queue, auto_ack=False, prefetch=1)
        send(channel, queue, "first", priority=0)
        inbox.wait(1)
        for body, priority in (("low", 1), ("high", 8), ("middle", 5)):
            send(channel, queue, body, priority=priority)
        for count in (2, 3, 4):
            inbox.ack(inbox.got[-1])
            inbox.wait(count)
        expect(inbox.texts(4), ["first", "high", "middle", "low"])


@case
def priorities_with_a_bound_drop_the_head():
    """The head is what would go out next: the highest, as RabbitMQ warns."""
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-max-priority": 9, "x-max-length": 2})
        for body, priority in (("high", 9), ("low", 1), ("middle", 5)):
            send(channel, queue, body, priority=priority)
        expect(bodies(channel, queue), ["middle", "low"])


@case
def low_priority_expires_behind_a_higher_one():
    with connect() as connection:
        beyond_rabbitmq(connection, "expiry behind the head of a classic queue")
        channel = confirming(connection)
        grave = own(channel)
        queue = own(channel, {"x-max-priority": 9, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave})
        letters = Inbox(connection, grave)
        send(channel, queue, "high", priority=9)
        send(channel, queue, "low", priority=1, expiration="50")
        expect(letters.texts(1), ["low"])
        expect(bodies(channel, queue), ["high"])


@case
def highest_priority_first_in_a_quorum_queue():
    with connect() as connection:
        beyond_rabbitmq(connection, "x-max-priority on a quorum queue")
        channel = confirming(connection)
        with kept(connection, {"x-queue-type": "quorum", "x-max-priority": 5}) as queue:
            for body, priority in (("none", None), ("low", 1), ("high", 5), ("above", 9)):
                send(channel, queue, body, priority=priority, delivery_mode=2)
            expect(bodies(channel, queue), ["high", "above", "low", "none"])


@case
def consumer_of_higher_priority_gets_all_it_can_take():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel)
        low = Inbox(connection, queue, auto_ack=False)
        high = Inbox(connection, queue, auto_ack=False, prefetch=3, arguments={"x-priority": 10})
        lowest = Inbox(connection, queue, auto_ack=False, arguments={"x-priority": -5})
        send(channel, queue, *"123")
        expect(high.texts(3), ["1", "2", "3"])
        send(channel, queue, "4", "5")
        expect(low.texts(2), ["4", "5"], "the next while the first is full")
        high.ack(high.got[0])
        # The acknowledgement and the publish come on different channels: it is in before this answer.
        high.channel.basic_qos(prefetch_count=3)
        send(channel, queue, "6")
        expect(high.texts(4)[-1], "6")
        expect((len(low.got), len(lowest.got)), (2, 0))


@case
def single_active_consumer_hands_over_when_it_cancels():
    with connect() as connection:
        channel = confirming(connection)
        queue = own(channel, {"x-single-active-consumer": True})
        first, second, third = [Inbox(connection, queue) for _ in range(3)]
        send(channel, queue, "1", "2")
        expect(first.texts(2), ["1", "2"])
        first.leave()
        send(channel, queue, "3", "4")
        expect(second.texts(2), ["3", "4"])
        second.leave()
        send(channel, queue, "5")
        expect(third.texts(1), ["5"])
        expect((len(first.got), len(second.got)), (2, 2))


def single_active_survives_a_killed_connection(arguments):
    with connect() as connection:
        channel = confirming(connection)
        with kept(connection, {"x-single-active-consumer": True, **arguments}) as queue:
            active = connect()
            first = Inbox(active, queue, auto_ack=False)
            second = Inbox(connection, queue, auto_ack=False)
            send(channel, queue, "1", "2", "3", delivery_mode=2)
            first.ack(first.wait(3)[0])
            first.channel.basic_qos(prefetch_count=0)
            expect(second.got, [], "while the first lives")
            drop(active)
            expect(second.texts(2), ["2", "3"])
            expect([letter.method.redelivered for letter in second.got], [True, True])


@case
def single_active_consumer_hands_over_when_it_dies():
    single_active_survives_a_killed_connection({})


@case
def single_active_consumer_of_a_quorum_queue_hands_over_when_it_dies():
    single_active_survives_a_killed_connection({"x-queue-type": "quorum"})


@case
def single_active_and_exclusive_do_not_mix():
    with connect() as connection:
        queue = own(connection.channel(), {"x-single-active-consumer": True})
        try:
            connection.channel().basic_consume(queue, lambda *_: None, exclusive=True)
        except ChannelClosedByBroker as closed:
            expect((closed.reply_code, closed.reply_text),
                   (403, f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"))
        else:
            raise AssertionError("the broker did not mind")


@case
def exclusive_consumer_stands_alone_until_it_goes():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 1)
        only = Inbox(connection, queue, exclusive=True)
        expect(only.texts(1), ["1"])

        def refused(exclusive):
            try:
                connection.channel().basic_consume(queue, lambda *_: None, exclusive=exclusive)
            except ChannelClosedByBroker as closed:
                return closed.reply_code
            return 0

        expect((refused(False), refused(True)), (403, 403))
        only.leave()
        shared = Inbox(connection, queue)
        expect(refused(True), 403, "nor where others are")
        send(channel, queue, "2")
        expect(shared.texts(1), ["2"])
        channel.queue_delete(queue)


@case
def deleted_queue_cancels_its_consumers():
    with connect() as connection:
        channel = confirming(connection)
        queue = fill(channel, 0)
        inbox = Inbox(connection, queue)
        connection.channel().queue_delete(queue)
        inbox.until(lambda: inbox.cancelled, "basic.cancel")
        gone(connection, queue)
