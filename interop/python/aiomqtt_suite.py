"""aiomqtt: the verbs of asyncio applications, in the versions that it speaks."""

import asyncio

import aiomqtt
from aiomqtt import ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from asyncio_kit import PLACE, QUIET_SECONDS, each, soon
from suite import expect, finish, restart_broker, unique

VERSIONS = (ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5)


def client(version=ProtocolVersion.V5, name=None, **more):
    return aiomqtt.Client(PLACE.hostname, PLACE.port or 1883, username=PLACE.username, password=PLACE.password,
                          protocol=version, identifier=name or unique("c")[:23], **more)


def stay(seconds):
    wishes = Properties(PacketTypes.CONNECT)
    wishes.SessionExpiryInterval = seconds
    return {"clean_start": False, "properties": wishes}


async def take(source, count):
    got = []
    async for message in source.messages:
        got.append(message)
        if len(got) == count:
            return got


@each
async def in_each_version():
    for version in VERSIONS:
        async with client(version) as one:
            place = unique("t")
            await one.subscribe(f"{place}/+/#", qos=2)
            for qos in (0, 1, 2):
                await one.publish(f"{place}/a/b", payload=f"{qos}", qos=qos)
            got = await soon(take(one, 3))
            expect([(message.payload, message.qos) for message in got], [(b"0", 0), (b"1", 1), (b"2", 2)])
            await one.unsubscribe(f"{place}/+/#")


@each
async def wrong_password():
    try:
        async with aiomqtt.Client(PLACE.hostname, PLACE.port or 1883, username=PLACE.username, password="wrong"):
            raise AssertionError("let in")
    except aiomqtt.MqttError as refused:
        expect("authori" in str(refused).lower() or "password" in str(refused).lower(), True, str(refused))


@each
async def several_tasks_publish_at_once():
    place = unique("t")
    async with client() as sink, client() as source:
        await sink.subscribe(place, qos=1)
        await asyncio.gather(*(source.publish(place, str(number), qos=1) for number in range(300)))
        got = await soon(take(sink, 300))
        expect(sorted(int(message.payload) for message in got), list(range(300)))


@each
async def will():
    place = unique("t")
    async with client() as watching:
        await watching.subscribe(place, qos=1)
        lost = client(will=Will(place, b"lost", qos=1))
        await lost.__aenter__()
        lost._client.socket().shutdown(2)
        expect([message.payload for message in await soon(take(watching, 1))], [b"lost"])


@each
async def retained_and_cleared():
    place = unique("t")
    async with client() as one:
        await one.publish(place, b"kept", qos=1, retain=True)
        await one.subscribe(place, qos=1)
        got = (await soon(take(one, 1)))[0]
        expect((got.payload, got.retain), (b"kept", True))
        await one.publish(place, b"", qos=1, retain=True)
        await soon(take(one, 1))
    async with client() as late:
        await late.subscribe(place, qos=1)
        await asyncio.sleep(QUIET_SECONDS)
        expect(len(late.messages), 0)


@each
async def restart():
    name, place = unique("c"), unique("t")
    async with client(name=name, **stay(300)) as one:
        await one.subscribe(place, qos=2)
    async with client() as source:
        await asyncio.gather(*(source.publish(place, str(number), qos=2) for number in range(20)))
    await asyncio.to_thread(restart_broker)
    async with client(name=name, **stay(300)) as one:
        got = await soon(take(one, 20))
        expect(sorted(int(message.payload) for message in got), list(range(20)), "each once")
    async with client(name=name):
        pass


if __name__ == "__main__":
    asyncio.run(each.run_all())
    finish()
