"""aio-pika (and aiormq below it): what an asyncio application does, robust connection included."""

import asyncio
import datetime

import aio_pika
from aio_pika.exceptions import AMQPError, ChannelClosed, DeliveryError

from suite import URL, case, check_misuse, expect, restart_broker, run_all, unique

PERSISTENT = aio_pika.DeliveryMode.PERSISTENT
DEADLINE_SECONDS = 20


def asynchronous(function):
    """Marks a coroutine that takes an open connection as a case."""

    def run():
        async def inner():
            connection = await aio_pika.connect(URL)
            async with connection:
                await asyncio.wait_for(function(connection), 60)

        asyncio.run(inner())

    run.__name__ = function.__name__
    return case(run)


def message(body, **properties):
    return aio_pika.Message(body, **properties)


async def filled(connection, count):
    """A channel with confirms and a queue with bodies 1..count."""
    channel = await connection.channel()
    queue = await channel.declare_queue(unique(), auto_delete=False)
    for number in range(1, count + 1):
        await channel.default_exchange.publish(message(b"%d" % number), queue.name)
    return channel, queue


async def ready(channel, name):
    return (await channel.declare_queue(name, passive=True)).declaration_result.message_count


async def drain(queue):
    got = []
    while (incoming := await queue.get(no_ack=True, fail=False)) is not None:
        got.append((incoming.body.decode(), incoming.redelivered))
    return got


async def eventually(condition, what):
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what}: not within {DEADLINE_SECONDS} s")
        await asyncio.sleep(0.02)


@asynchronous
async def declarations(connection):
    channel = await connection.channel()
    for kind in aio_pika.ExchangeType.DIRECT, aio_pika.ExchangeType.FANOUT, aio_pika.ExchangeType.TOPIC, aio_pika.ExchangeType.HEADERS:
        exchange = await channel.declare_exchange(unique("x"), kind, durable=True)
        await channel.declare_exchange(exchange.name, kind, passive=True)
        other = await channel.declare_exchange(unique("x"), "fanout", auto_delete=True, internal=True)
        await other.bind(exchange, "k")
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(other)
        await exchange.publish(message(b"m"), "k")
        arrived = (await drain(queue)) if kind != aio_pika.ExchangeType.HEADERS else [("m", False)]
        expect(arrived, [("m", False)], f"through {kind}")
        await queue.unbind(other)
        await exchange.delete()
    named = await channel.declare_queue(durable=True)
    if not named.name.startswith("amq"):
        raise AssertionError(named.name)
    await named.delete()


@asynchronous
async def confirms_in_flight(connection):
    channel, queue = await filled(connection, 0)
    durable = await channel.declare_queue(unique(), durable=True)
    # All are in flight at once; each future ends at its own ack.
    await asyncio.gather(*(
        channel.default_exchange.publish(message(b"%d" % number, delivery_mode=PERSISTENT), durable.name)
        for number in range(2000)
    ))
    expect(await ready(channel, durable.name), 2000)
    expect([int(body) for body, _ in await drain(durable)], list(range(2000)), "order")
    await durable.delete()
    await queue.delete()


@asynchronous
async def mandatory_return(connection):
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    try:
        await channel.default_exchange.publish(message(b"back", message_id="7"), unique("nowhere"), mandatory=True)
    except DeliveryError as returned:
        expect(returned.message.delivery.reply_code, 312)
        expect((returned.message.body, returned.message.header.properties.message_id), (b"back", "7"))
    else:
        raise AssertionError("nothing was returned")


@asynchronous
async def prefetch(connection):
    channel, queue = await filled(connection, 20)
    consuming = await connection.channel()
    await consuming.set_qos(prefetch_count=5)
    got = []

    async def take(incoming):
        got.append(incoming)

    await (await consuming.get_queue(queue.name)).consume(take)
    await eventually(lambda: len(got) >= 5, "five deliveries")
    expect((await ready(channel, queue.name), len(got)), (15, 5))
    await got[1].ack(multiple=True)
    await eventually(lambda: len(got) >= 7, "two more")
    expect((await ready(channel, queue.name), len(got)), (13, 7))
    await consuming.close()
    expect((await drain(queue))[0], ("3", True), "back in its place")
    await queue.delete()


@asynchronous
async def requeue(connection):
    channel, queue = await filled(connection, 4)
    first, second, third = [await queue.get() for _ in range(3)]
    await second.reject(requeue=True)
    again = await queue.get()
    expect((again.body, again.redelivered), (b"2", True))
    await again.nack(requeue=True)
    await first.nack(requeue=True)
    await third.reject(requeue=False)
    expect(await drain(queue), [("1", True), ("2", True), ("4", False)])
    await queue.delete()


@asynchronous
async def iterator(connection):
    channel, queue = await filled(connection, 5)
    await channel.set_qos(prefetch_count=2)
    bodies = []
    async with queue.iterator(timeout=10) as incoming:
        async for one in incoming:
            async with one.process():
                bodies.append(one.body)
            if len(bodies) == 5:
                break
    expect(bodies, [b"1", b"2", b"3", b"4", b"5"])
    expect((await queue.delete()).message_count, 0)


@asynchronous
async def tx(connection):
    plain, queue = await filled(connection, 0)
    channel = await connection.channel(publisher_confirms=False)
    async with channel.transaction():
        await channel.default_exchange.publish(message(b"1"), queue.name)
        expect(await ready(plain, queue.name), 0, "before the commit")
    expect(await ready(plain, queue.name), 1, "committed")
    transaction = channel.transaction()
    await transaction.select()
    await channel.default_exchange.publish(message(b"2"), queue.name)
    await transaction.rollback()
    expect(await drain(queue), [("1", False)], "rolled back")
    await queue.delete()


@asynchronous
async def header_table(connection):
    table = {
        "text": "täxt", "true": True, "false": False, "small": -5, "int": -70000, "long": -(2 ** 40), "float": 2.5,
        "none": None, "time": datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.timezone.utc),
        "table": {"in": {"deep": 1}}, "array": [1, "a", {"k": [2]}],
    }
    channel, queue = await filled(connection, 0)
    sent = message(
        b"m", headers=table, content_type="text/plain", content_encoding="utf-8", priority=7, correlation_id="c",
        reply_to="r", expiration=60, message_id="m", type="t", user_id="guest", app_id="a", delivery_mode=PERSISTENT,
        timestamp=1700000000,
    )
    await channel.default_exchange.publish(sent, queue.name)
    back = await queue.get(no_ack=True)
    expect(back.headers, table)
    for name in ("content_type", "content_encoding", "priority", "correlation_id", "reply_to", "expiration",
                 "message_id", "type", "user_id", "app_id", "delivery_mode", "timestamp"):
        expect(getattr(back, name), getattr(sent, name), name)
    await queue.delete()


@asynchronous
async def bodies(connection):
    large = bytes(range(256)) * (8 * 1024 * 4)
    channel, queue = await filled(connection, 0)
    for body in (large, b"", b"after"):
        await channel.default_exchange.publish(message(body), queue.name)
    for body in (large, b"", b"after"):
        expect((await queue.get(no_ack=True)).body == body, True, f"{len(body)} bytes")
    await queue.delete()


@asynchronous
async def cancel_notify(connection):
    channel, queue = await filled(connection, 0)
    consuming = await connection.channel()
    underlay = await consuming.get_underlay_channel()

    async def ignore(_):
        pass

    tag = await (await consuming.get_queue(queue.name)).consume(ignore)
    await queue.delete(if_unused=False)
    # aiormq drops the consumer when the broker cancels it.
    await eventually(lambda: tag not in underlay.consumers, "basic.cancel")


@asynchronous
async def misuse(connection):
    for name, provoke in (
        ("passive-queue", lambda channel, name: channel.declare_queue(name, passive=True)),
        ("passive-exchange", lambda channel, name: channel.declare_exchange(name, passive=True)),
        ("inequivalent-durable", lambda channel, name: twice(channel, name)),
        ("bind-missing-exchange", lambda channel, name: bind(channel, name)),
        ("unknown-tag", lambda channel, name: acknowledge(channel)),
    ):
        chosen = unique("m")
        async with await aio_pika.connect(URL) as fresh:
            channel = await fresh.channel()
            try:
                await provoke(channel, chosen)
            except AMQPError as closed:
                code, text = refusal(closed)
                check_misuse(name, chosen, code, text)
            else:
                raise AssertionError(f"{name}: the broker did not mind")
            cleaner = await fresh.channel()
            await cleaner.queue_delete(chosen)


def refusal(closed):
    """Code and text, which aiormq keeps in its exception's kind and message."""
    codes = {"ChannelNotFoundEntity": 404, "ChannelPreconditionFailed": 406, "ChannelAccessRefused": 403, "ChannelLockedResource": 405}
    return codes.get(type(closed).__name__, 0), str(closed.args[-1])


async def twice(channel, name):
    await channel.declare_queue(name, durable=False)
    await channel.declare_queue(name, durable=True)


async def bind(channel, name):
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(name, "k")


async def acknowledge(channel):
    underlay = await channel.get_underlay_channel()
    await underlay.basic_ack(99)
    await channel.set_qos(prefetch_count=1)


@case
def restart():
    """A robust connection comes back by itself, with its topology and its consumer."""

    async def inner():
        connection = await aio_pika.connect_robust(URL, reconnect_interval=0.2)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(unique(), durable=True)
            got = []

            async def take(incoming):
                async with incoming.process():
                    got.append(int(incoming.body))

            for number in range(50):
                await channel.default_exchange.publish(message(b"%d" % number, delivery_mode=PERSISTENT), queue.name)
            await asyncio.to_thread(restart_broker)
            await asyncio.wait_for(connection.connected.wait(), 30)
            for _ in range(100):
                try:
                    await queue.consume(take)
                    break
                except (AMQPError, ChannelClosed, RuntimeError, ConnectionError):
                    await asyncio.sleep(0.1)
            await eventually(lambda: len(set(got)) == 50, "every confirmed message")
            expect(sorted(set(got)), list(range(50)))
            await queue.delete(if_unused=False, if_empty=False)

    asyncio.run(asyncio.wait_for(inner(), 90))


if __name__ == "__main__":
    run_all()
