// WebSocket in Node: MQTT.js, amqp-client.js and stompjs unchanged, and ws by hand for what they never do.

import { connectAsync } from 'mqtt';
import { AMQPWebSocketClient } from '@cloudamqp/amqp-client';
import { Client as Stomp } from '@stomp/stompjs';
import WebSocket from 'ws';
import { expect, runAll, test, unique, waitUntil } from '../node/suite.js';

// Node has one of its own from version 22 on; in 20 amqp-client.js finds none.
globalThis.WebSocket ??= WebSocket;

const ws = `ws://${new URL(process.env.INTEROP_WS).host}`;
const at = (path) => ws + path;

function mqtt(name, run) {
  for (const [version, protocolVersion] of [['3.1', 3], ['3.1.1', 4], ['5', 5]]) {
    test(`mqtt.js ${version}, ${name}`, async () => {
      const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
      const client = await connectAsync(at('/mqtt'), {
        username: 'guest', password: 'guest', protocolVersion, protocolId, reconnectPeriod: 0, clientId: unique('ws').slice(-20),
      });
      const got = [];
      client.on('message', (topic, payload) => got.push([topic, payload]));
      try {
        await run(client, got);
      } finally {
        await client.endAsync(true);
      }
    });
  }
}

mqtt('every level', async (client, got) => {
  const topic = unique('ws');
  await client.subscribeAsync(`${topic}/#`, { qos: 2 });
  for (const qos of [0, 1, 2]) await client.publishAsync(`${topic}/${qos}`, `level ${qos}`, { qos });
  await waitUntil(() => got.length === 3, 'three messages');
  expect(got.map(([where, payload]) => [where, payload.toString()]), [0, 1, 2].map((n) => [`${topic}/${n}`, `level ${n}`]));
});

mqtt('5 MiB there and back', async (client, got) => {
  const topic = unique('ws');
  const payload = Buffer.alloc(5 << 20, 'lockgate');
  await client.subscribeAsync(topic, { qos: 1 });
  await client.publishAsync(topic, payload, { qos: 1 });
  await waitUntil(() => got.length === 1, 'a message');
  expect(got[0][1].equals(payload), true);
});

mqtt('5,000 in a row', async (client, got) => {
  const topic = unique('ws');
  await client.subscribeAsync(topic, { qos: 1 });
  const sent = [];
  for (let n = 0; n < 5000; n += 1) sent.push(client.publishAsync(topic, `${n}`, { qos: n % 2 }));
  await Promise.all(sent);
  await waitUntil(() => got.length === 5000, 'all of them');
  expect(got.map(([, payload]) => Number(payload)).every((n, at_) => n === at_), true, 'in order');
});

async function amqp(run, path = '/') {
  const client = new AMQPWebSocketClient({ url: at(path), vhost: '/', username: 'guest', password: 'guest' });
  await client.connect();
  const channel = await client.channel();
  try {
    await run(channel, client);
  } finally {
    await client.close();
  }
}

// Its usual paths at LavinMQ and in its own examples.
for (const path of ['/', '/ws/amqp', '/amqp', '/anything?x=1']) {
  test(`amqp-client.js at ${path}`, () => amqp(async (channel) => {
    const { name } = await channel.queueDeclare('', { exclusive: true });
    await channel.confirmSelect();
    await channel.basicPublish('', name, 'hello');
    expect((await channel.basicGet(name, { noAck: true })).bodyString(), 'hello');
  }, path));
}

test('amqp-client.js, bodies of many frames', () => amqp(async (channel) => {
  const { name } = await channel.queueDeclare('', { exclusive: true });
  await channel.confirmSelect();
  const got = [];
  await channel.basicConsume(name, { noAck: false }, (message) => { got.push(message.body); message.ack(); });
  const bodies = [0, 1, 8184, 8185, 100_000, 3 << 20].map((size) => new Uint8Array(size).fill(size % 251));
  for (const body of bodies) await channel.basicPublish('', name, body);
  await waitUntil(() => got.length === bodies.length, 'every body');
  expect(got.map((body) => Buffer.from(body ?? []).equals(Buffer.from(bodies.shift()))).every(Boolean), true);
}));

test('amqp-client.js, 3,000 with a prefetch', () => amqp(async (channel) => {
  const { name } = await channel.queueDeclare('', { exclusive: true });
  await channel.confirmSelect();
  await Promise.all(Array.from({ length: 3000 }, (_, n) => channel.basicPublish('', name, `${n}`)));
  await channel.basicQos(50);
  const got = [];
  await channel.basicConsume(name, { noAck: false }, (message) => { got.push(Number(message.bodyString())); message.ack(); });
  await waitUntil(() => got.length === 3000, 'all of them');
  expect(got.every((n, place) => n === place), true, 'in order');
}));

test('amqp-client.js, what is refused is refused as over TCP', () => amqp(async (channel) => {
  const why = await channel.queueDeclare(unique(), { passive: true }).then(() => 'not', (error) => error.message);
  expect(/404/.test(why), true, why);
}));

function stomp(name, options, run) {
  test(`stompjs, ${name}`, async () => {
    const client = new Stomp({
      brokerURL: at('/ws'), connectHeaders: { login: 'guest', passcode: 'guest' }, reconnectDelay: 0, ...options,
    });
    const trouble = [];
    await new Promise((resolve, reject) => {
      client.onConnect = resolve;
      client.onStompError = (frame) => { trouble.push(frame.headers.message); reject(new Error(frame.headers.message)); };
      client.onWebSocketError = reject;
      client.activate();
    });
    const got = [];
    const queue = `/queue/${unique('stomp')}`;
    const subscribed = new Promise((resolve) => { client.watchForReceipt('subscribed', resolve); });
    client.subscribe(queue, (message) => got.push(message), { receipt: 'subscribed', ack: 'auto', 'auto-delete': 'true', durable: 'false' });
    await subscribed;
    try {
      await run(client, queue, got);
      expect(trouble, []);
    } finally {
      await client.deactivate();
    }
  });
}

for (const version of ['1.0', '1.1', '1.2']) {
  stomp(`STOMP ${version}`, { stompVersions: { versions: [version], protocolVersions: () => [`v${version.replace('.', '')}.stomp`], supportedVersions: () => version } }, async (client, queue, got) => {
    client.publish({ destination: queue, body: 'gr\u00fcn' });
    await waitUntil(() => got.length === 1, 'a message');
    expect([got[0].body, client.connectedVersion], ['gr\u00fcn', version]);
  });
}

stomp('bytes beside text', {}, async (client, queue, got) => {
  const bytes = new Uint8Array([0xff, 0xfe, 0, 10]);
  client.publish({ destination: queue, body: 'text' });
  client.publish({ destination: queue, binaryBody: bytes });
  client.publish({ destination: queue, body: 'more' });
  await waitUntil(() => got.length === 3, 'three messages');
  expect([got[0].body, [...got[1].binaryBody], got[2].body], ['text', [...bytes], 'more']);
});

stomp('a MiB in pieces of 8 KiB', { splitLargeFrames: true }, async (client, queue, got) => {
  client.publish({ destination: queue, body: 'lockgate'.repeat(1 << 17) });
  await waitUntil(() => got.length === 1, 'a message');
  expect(got[0].body === 'lockgate'.repeat(1 << 17), true);
});

stomp('2,000 in messages of bytes', { forceBinaryWSFrames: true }, async (client, queue, got) => {
  for (let n = 0; n < 2000; n += 1) client.publish({ destination: queue, body: `${n}` });
  await waitUntil(() => got.length === 2000, 'all of them');
  expect(got.every((message, place) => Number(message.body) === place), true, 'in order');
});

stomp('heart-beats', { heartbeatIncoming: 1000, heartbeatOutgoing: 1000 }, async (client, queue, got) => {
  await new Promise((resolve) => { setTimeout(resolve, 3500); });
  client.publish({ destination: queue, body: 'still here' });
  await waitUntil(() => got.length === 1, 'a message');
});

// What a bare socket is told: the sub-protocol, or the status of a refusal.
function opened(path, tokens, options) {
  const socket = new WebSocket(at(path), tokens, options);
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_, response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => reject(Object.assign(new Error(text), { status: response.statusCode })));
    });
    socket.on('error', reject);
  });
}

const refused = (promise) => promise.then(() => { throw new Error('it was let in'); }, (error) => error);
const closed = (socket) => new Promise((resolve) => { socket.on('close', (code) => resolve(code)); });

test('ws, sub-protocols are echoed, and unknown ones refused with what there is', async () => {
  for (const [tokens, echoed] of [[['mqtt'], 'mqtt'], [['x', 'mqttv3.1'], 'mqttv3.1'], [['amqp'], 'amqp'], [[], '']]) {
    const socket = await opened('/ws', tokens);
    expect(socket.protocol, echoed);
    socket.terminate();
  }
  const { status, message } = await refused(opened('/mqtt', ['soap']));
  expect([status, /Sub-protocols: .*mqtt/.test(message)], [400, true], message);
});

test('ws, compression is never agreed to', async () => {
  const socket = await opened('/mqtt', ['mqtt'], { perMessageDeflate: true });
  expect(socket.extensions, '');
  socket.terminate();
});

test('ws, a page of somewhere else is refused here', async () => {
  const { status, message } = await refused(opened('/mqtt', ['mqtt'], { origin: 'https://example.org' }));
  expect([status, /websocket\.origins/.test(message)], [403, true], message);
  (await opened('/mqtt', ['mqtt'], { origin: 'http://localhost:8080' })).terminate();
});

test('ws, pings, fragments and text', async () => {
  const socket = await opened('/mqtt', ['mqtt']);
  const got = [];
  socket.on('message', (data, binary) => got.push([data.toString('latin1'), binary]));
  socket.on('pong', (data) => got.push(data.toString()));
  socket.ping('here');
  const connect = Buffer.from('\x10\x1d\x00\x04MQTT\x04\xc2\x00\x3c\x00\x03ws1\x00\x05guest\x00\x05guest', 'latin1');
  for (let n = 0; n < connect.length; n += 1) socket.send(connect.subarray(n, n + 1), { binary: true, fin: n + 1 === connect.length });
  socket.send(Buffer.from('\xc0\x00', 'latin1'));
  await waitUntil(() => got.length === 3, 'three answers');
  expect(got, ['here', ['\x20\x02\x00\x00', true], ['\xd0\x00', true]]);
  const end = closed(socket);
  socket.send('text');
  expect(await end, 1003);
});

test('ws, a fault of the inner protocol is told in a close frame', async () => {
  const socket = await opened('/mqtt', ['mqtt']);
  const end = closed(socket);
  socket.send(Buffer.from([0xf0, 0]));
  expect(await end, 1002);
});

runAll(4);
