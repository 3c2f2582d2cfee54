// MQTT.js, versions 3.1.1 and 5: QoS, order, filters, properties, wills, sessions, aliases, a killed broker.

import mqtt from 'mqtt';
import { expect, mqttUrl, restartBroker, runAll, test, unique, waitUntil } from './suite.js';

const quietMs = 400;
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Client {
  constructor(version, options = {}) {
    this.messages = [];
    const { properties, ...rest } = options;
    this.wishes = {
      protocolVersion: version, clientId: unique('c'), reconnectPeriod: 0, connectTimeout: 10_000,
      ...(version === 5 && properties ? { properties } : {}), ...rest,
    };
  }

  async open() {
    this.client = mqtt.connect(mqttUrl, this.wishes);
    this.client.on('message', (topic, payload, packet) => this.messages.push({ topic, body: payload.toString(), packet }));
    this.client.on('error', (error) => { this.error = error; });
    this.client.on('disconnect', (packet) => { this.told = packet; });
    this.connack = await new Promise((resolve, reject) => {
      this.client.once('connect', resolve);
      this.client.once('error', reject);
      this.client.once('close', () => reject(new Error('closed before CONNACK')));
    });
    return this;
  }

  async close() { await this.client.endAsync(); }

  vanish() { this.client.stream.destroy(); }

  subscribe(filter, options) { return this.client.subscribeAsync(filter, options); }

  publish(topic, body = '', options = { qos: 1 }) { return this.client.publishAsync(topic, body, options); }

  async bodies(count) {
    await waitUntil(() => this.messages.length >= count, `${count} messages, of which there are ${this.messages.length}`);
    return this.messages.splice(0, count).map(({ body }) => body);
  }

  async next() {
    await waitUntil(() => this.messages.length > 0, 'a message');
    return this.messages.shift();
  }

  async quiet() {
    await pause(quietMs);
    expect(this.messages.map(({ body }) => body), [], 'nothing more');
  }
}

// A case that gets clients and cannot leak them.
function each(name, run, versions = [4, 5]) {
  for (const version of versions) {
    test(versions.length > 1 ? `${name}-${version === 4 ? '3.1.1' : '5'}` : name, async () => {
      const open = [];
      const client = async (options) => {
        const one = await new Client(version, options).open();
        open.push(one);
        return one;
      };
      try {
        await run(client, version);
      } finally {
        await Promise.all(open.map((one) => one.client.endAsync(true).catch(() => {})));
      }
    });
  }
}

const staying = (clientId, seconds = 300) => ({ clientId, clean: false, properties: { sessionExpiryInterval: seconds } });

each('qos-matrix', async (client) => {
  const source = await client();
  for (const wanted of [0, 1, 2]) {
    const [sink, place] = [await client(), unique('t')];
    expect((await sink.subscribe(place, { qos: wanted })).map(({ qos }) => qos), [wanted], 'granted');
    for (const qos of [0, 1, 2]) {
      await source.publish(place, String(qos), { qos });
      const { body, packet } = await sink.next();
      expect([body, packet.qos, packet.retain, packet.dup], [String(qos), Math.min(qos, wanted), false, false]);
    }
    await sink.quiet();
  }
});

each('order', async (client) => {
  const [source, sink] = [await client(), await client()];
  for (const qos of [0, 1, 2]) {
    const place = unique('t');
    await sink.subscribe(place, { qos });
    const numbers = Array.from({ length: 1000 }, (_, number) => String(number));
    // MQTT.js pays no heed to the broker's Receive Maximum: no more than that at once.
    for (let first = 0; first < 1000; first += 20) {
      await Promise.all(numbers.slice(first, first + 20).map((number) => source.publish(place, number, { qos })));
    }
    expect(await sink.bodies(1000), numbers);
    await sink.quiet();
  }
});

each('payloads', async (client) => {
  const [one, place] = [await client(), unique('t')];
  await one.subscribe(place, { qos: 2 });
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 2_097_152]) {
    const body = Buffer.alloc(size, 'ä');
    await one.publish(place, body, { qos: 2 });
    expect((await one.next()).packet.payload.equals(body), true, `${size} bytes`);
  }
});

each('filters', async (client) => {
  const [one, base] = [await client(), unique('t')];
  const reach = { 'a/+': ['a/b'], '#': ['a', 'a/b', 'a/b/c'], 'a/#': ['a', 'a/b', 'a/b/c'], '+/+/c': ['a/b/c'], 'a/b/': [] };
  for (const [filter, wanted] of Object.entries(reach)) {
    await one.subscribe(`${base}/${filter}`, { qos: 1 });
    for (const name of ['a', 'a/b', 'a/b/c']) await one.publish(`${base}/${name}`, name);
    expect(await one.bodies(wanted.length), wanted, filter);
    await one.quiet();
    await one.client.unsubscribeAsync(`${base}/${filter}`);
  }
});

each('retained', async (client) => {
  const [one, base] = [await client(), unique('t')];
  await one.publish(`${base}/a`, 'kept', { qos: 1, retain: true });
  await one.publish(`${base}/b`, 'gone', { qos: 1, retain: true });
  await one.publish(`${base}/b`, '', { qos: 1, retain: true });
  await one.subscribe(`${base}/#`, { qos: 1 });
  const { body, packet } = await one.next();
  expect([body, packet.retain], ['kept', true]);
  await one.quiet();
  await one.publish(`${base}/a`, '', { qos: 1, retain: true });
});

each('will', async (client) => {
  const [watching, place] = [await client(), unique('t')];
  await watching.subscribe(place, { qos: 1 });
  const options = { will: { topic: place, payload: Buffer.from('lost'), qos: 1, retain: false } };
  (await client(options)).vanish();
  expect(await watching.bodies(1), ['lost']);
  await (await client(options)).close();
  await watching.quiet();
});

each('session', async (client) => {
  const [name, place] = [unique('c'), unique('t')];
  const first = await client(staying(name));
  expect(first.connack.sessionPresent, false);
  await first.subscribe(place, { qos: 2 });
  await first.close();
  const source = await client();
  for (const number of ['1', '2', '3']) await source.publish(place, number, { qos: 2 });
  const again = await client(staying(name));
  expect([again.connack.sessionPresent, await again.bodies(3)], [true, ['1', '2', '3']]);
  await again.quiet();
  await again.close();
  await (await client({ clientId: name })).close();
  const fresh = await client(staying(name));
  expect(fresh.connack.sessionPresent, false);
  await fresh.close();
  await client({ clientId: name });
});

each('takeover', async (client, version) => {
  const name = unique('c');
  const first = await client({ clientId: name });
  await client({ clientId: name });
  await waitUntil(() => first.client.disconnected || !first.client.connected, 'the first is put out');
  // Mosquitto 2.0 hangs up without a word.
  if (version === 5 && first.told) expect(first.told.reasonCode, 0x8E);
});

each('wrong-password', async (client, version) => {
  const place = new URL(mqttUrl);
  const refused = mqtt.connect({ host: place.hostname, port: Number(place.port), username: 'guest', password: 'wrong', protocolVersion: version, reconnectPeriod: 0 });
  const error = await new Promise((resolve, reject) => { refused.on('error', resolve); refused.on('connect', () => reject(new Error('let in'))); });
  await refused.endAsync(true);
  expect((version === 5 ? [0x86, 0x87] : [4, 5]).includes(error.code), true, `said ${error.code}`);
});

each('properties', async (client) => {
  const [one, place] = [await client(), unique('t')];
  await one.subscribe(place, { qos: 1, properties: { subscriptionIdentifier: 5, userProperties: { why: 'test' } } });
  const properties = {
    contentType: 'text/x', responseTopic: 'to/me', correlationData: Buffer.from([0, 255]), payloadFormatIndicator: true,
    userProperties: { a: ['1', '2'], b: '3' }, messageExpiryInterval: 60,
  };
  await one.publish(place, 'm', { qos: 1, properties });
  const got = (await one.next()).packet.properties;
  expect([59, 60].includes(got.messageExpiryInterval), true, 'the time that is left');
  expect({ ...got, userProperties: { ...got.userProperties }, messageExpiryInterval: 60 }, { ...properties, subscriptionIdentifier: 5 });
}, [5]);

each('aliases-both-ways', async (client) => {
  const place = unique('t');
  const [source, sink] = [await client({ autoAssignTopicAlias: true }), await client({ properties: { topicAliasMaximum: 3 } })];
  await sink.subscribe(`${place}/#`, { qos: 1 });
  for (let number = 0; number < 30; number += 1) await source.publish(`${place}/${number % 6}`, String(number));
  await waitUntil(() => sink.messages.length >= 30, 'all');
  expect(sink.messages.map(({ body }) => body), Array.from({ length: 30 }, (_, number) => String(number)));
  // MQTT.js resolves the alias before it tells the topic.
  expect(sink.messages.map(({ topic }) => topic), Array.from({ length: 30 }, (_, number) => `${place}/${number % 6}`));
}, [5]);

each('options-of-a-subscription', async (client) => {
  const [one, place] = [await client(), unique('t')];
  await one.publish(place, 'kept', { qos: 1, retain: true });
  await one.subscribe(place, { qos: 1, nl: true, rap: true, rh: 2 });
  await one.publish(place, 'own');
  await one.quiet();
  await (await client()).publish(place, '', { qos: 1, retain: true });
  expect((await one.next()).packet.retain, true, 'as published');
}, [5]);

each('session-expiry', async (client) => {
  const name = unique('c');
  await (await client(staying(name, 1))).close();
  await pause(2500);
  expect((await client(staying(name, 1))).connack.sessionPresent, false);
}, [5]);

each('packet-too-large-for-a-client', async (client) => {
  const place = unique('t');
  const [source, small, large] = [await client(), await client({ properties: { maximumPacketSize: 500 } }), await client()];
  for (const one of [small, large]) await one.subscribe(place, { qos: 1 });
  for (const size of [10, 1000, 20]) await source.publish(place, 'x'.repeat(size));
  expect((await small.bodies(2)).map((body) => body.length), [10, 20]);
  expect((await large.bodies(3)).map((body) => body.length), [10, 1000, 20]);
}, [5]);

test('reconnects-and-goes-on-after-a-restart', async () => {
  const [name, place] = [unique('c'), unique('t')];
  const one = await new Client(5, { ...staying(name), reconnectPeriod: 100, resubscribe: false }).open();
  await one.subscribe(place, { qos: 2 });
  for (let number = 0; number < 50; number += 1) await one.publish(place, String(number), { qos: 2 });
  try {
    await restartBroker();
    await waitUntil(() => one.client.connected, 'connected again');
    for (let number = 50; number < 60; number += 1) await one.publish(place, String(number), { qos: 2 });
    const got = await one.bodies(60);
    expect(got, Array.from({ length: 60 }, (_, number) => String(number)), 'each once, in order');
  } finally {
    await one.client.endAsync(true);
  }
}, { alone: true });

await runAll(3);
