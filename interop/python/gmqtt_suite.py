"""gmqtt, an asyncio client of its own make: QoS, order, properties, wills, sessions, a killed broker."""

import asyncio

from gmqtt import Client, Message, Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from asyncio_kit import PLACE, QUIET_SECONDS, each, soon
from suite import expect, finish, restart_broker, unique


class Own:
    """A connected client; what comes is kept in a queue."""

    def __init__(self, name=None, version=MQTTv50, clean=True, will=None, **wishes):
        self.client = Client(name or unique("c"), clean_session=clean, will_message=will, **wishes)
        self.client.set_auth_credentials(PLACE.username, PLACE.password)
        self.version = version
        self.messages, self.granted, self.flags = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.client.on_message = self.took
        self.client.on_subscribe = lambda client, mid, codes, properties: self.granted.put_nowait(codes)
        self.client.on_connect = lambda client, flags, code, properties: self.flags.put_nowait(flags)

    def took(self, client, topic, payload, qos, properties):
        self.messages.put_nowait((topic, bytes(payload), qos, properties))
        return 0

    async def __aenter__(self):
        await soon(self.client.connect(PLACE.hostname, PLACE.port or 1883, version=self.version))
        self.present = bool(await soon(self.flags.get()))
        return self

    async def __aexit__(self, *_):
        await self.client.disconnect()

    async def subscribe(self, filter, qos, **options):
        self.client.subscribe(Subscription(filter, qos=qos, **options))
        return (await soon(self.granted.get()))[0]

    async def next(self):
        return await soon(self.messages.get())

    async def bodies(self, count):
        return [(await self.next())[1].decode() for _ in range(count)]

    async def quiet(self):
        await asyncio.sleep(QUIET_SECONDS)
        expect(self.messages.qsize(), 0, "nothing more")


@each
async def qos_matrix():
    for version in (MQTTv311, MQTTv50):
        async with Own(version=version) as client:
            for wanted in (0, 1, 2):
                place = unique("t")
                expect(await client.subscribe(place, wanted), wanted, "granted")
                for qos in (0, 1, 2):
                    client.client.publish(place, b"m", qos=qos)
                    expect((await client.next())[2], min(qos, wanted))


@each
async def order_of_bursts():
    async with Own() as source, Own() as sink:
        for qos in (0, 1, 2):
            place = unique("t")
            await sink.subscribe(place, qos)
            # It raises when more are on their way than Receive Maximum allows.
            for first in range(0, 500, 20):
                for number in range(first, first + 20):
                    source.client.publish(place, str(number), qos=qos)
                expect(await sink.bodies(20), [str(number) for number in range(first, first + 20)])
        await sink.quiet()


@each
async def properties():
    async with Own() as client:
        place = unique("t")
        await client.subscribe(place, 1, subscription_identifier=9)
        client.client.publish(place, b"m", qos=1, content_type="text/x", response_topic="r", correlation_data=b"\0c",
                              user_property=[("b", "2"), ("a", "1"), ("b", "3")], message_expiry_interval=60, payload_format_id=1)
        got = (await client.next())[3]
        expect((got["content_type"], got["response_topic"], got["correlation_data"], got["subscription_identifier"]),
               (["text/x"], ["r"], [b"\0c"], [9]))
        expect(got["user_property"], [("b", "2"), ("a", "1"), ("b", "3")])
        expect(got["message_expiry_interval"][0] in (59, 60), True)


@each
async def retained():
    async with Own() as client:
        place = unique("t")
        client.client.publish(place, b"kept", qos=1, retain=True)
        await client.subscribe(place, 1)
        _, payload, _, found = await client.next()
        expect((payload, found["retain"]), (b"kept", True))
        client.client.publish(place, b"", qos=1, retain=True)
        await client.next()


@each
async def will():
    place = unique("t")
    async with Own() as watching:
        await watching.subscribe(place, 1)
        lost = Own(will=Message(place, b"lost", qos=1))
        await lost.__aenter__()
        lost.client._connection._transport.abort()
        expect(await watching.bodies(1), ["lost"])
        await lost.client.disconnect()


@each
async def session_stays():
    name, place = unique("c"), unique("t")
    async with Own(name, clean=False, session_expiry_interval=300) as client:
        await client.subscribe(place, 2)
    async with Own() as source:
        for number in range(50):
            source.client.publish(place, str(number), qos=2)
        await asyncio.sleep(QUIET_SECONDS)
    async with Own(name, clean=False, session_expiry_interval=300) as client:
        expect(client.present, True)
        expect(await client.bodies(50), [str(number) for number in range(50)])
        await client.quiet()
    async with Own(name):
        pass


@each
async def shared_among_three():
    place, group = unique("t"), unique("g")
    async with Own() as source, Own() as one, Own() as two, Own() as three:
        members = (one, two, three)
        for member in members:
            await member.subscribe(f"$share/{group}/{place}", 1)
        for number in range(90):
            source.client.publish(place, str(number), qos=1)
        for _ in range(200):
            if sum(member.messages.qsize() for member in members) == 90:
                break
            await asyncio.sleep(0.02)
        got = [await member.bodies(member.messages.qsize()) for member in members]
        expect(sorted(int(body) for bodies in got for body in bodies), list(range(90)))
        expect(all(got), True, "each takes part")


@each
async def restart():
    name, place = unique("c"), unique("t")
    async with Own(name, clean=False, session_expiry_interval=300) as client:
        await client.subscribe(place, 1)
        await asyncio.to_thread(restart_broker)
        await soon(client.flags.get())
        client.client.publish(place, b"after", qos=1)
        expect(await client.bodies(1), ["after"], "it has connected again, and its subscription stands")


if __name__ == "__main__":
    asyncio.run(each.run_all())
    finish()
