// stompjs (over a TCP socket in a WebSocket's clothes) and stompit.

import net from 'node:net';
import { Client, Versions } from '@stomp/stompjs';
import stompit from 'stompit';
import { expect, runAll, test, unique } from './suite.js';

const { hostname: host, port } = new URL(process.env.INTEROP_STOMP);
const patience = 10_000;

// What stompjs wants of a WebSocket, over TCP.
class Tcp {
  constructor() {
    this.binaryType = 'arraybuffer';
    this.readyState = 0;
    this.socket = net.connect(Number(port), host);
    this.socket.on('connect', () => { this.readyState = 1; this.onopen?.(); });
    this.socket.on('data', (data) => this.onmessage?.({ data: new Uint8Array(data) }));
    this.socket.on('close', () => { this.readyState = 3; this.onclose?.({ code: 1000 }); });
    this.socket.on('error', (trouble) => this.onerror?.(trouble));
  }

  send(data) { this.socket.write(typeof data === 'string' ? data : Buffer.from(data)); }
  close() { this.socket.end(); }
  terminate() { this.socket.destroy(); }
}

function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no ${what}`)), patience); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A queue of what comes, each waited for.
function inbox() {
  const waiting = [], come = [];
  return {
    put(value) { waiting.length ? waiting.shift()(value) : come.push(value); },
    take(what) { return come.length ? Promise.resolve(come.shift()) : soon(new Promise((done) => waiting.push(done)), what); },
    get size() { return come.length; },
  };
}

async function stompjs(options = {}) {
  const errors = inbox();
  const client = new Client({
    webSocketFactory: () => new Tcp(), reconnectDelay: 0, forceBinaryWSFrames: true,
    connectHeaders: { login: 'guest', passcode: 'guest', host: '/' },
    heartbeatIncoming: 0, heartbeatOutgoing: 0, onStompError: (frame) => errors.put(frame), ...options,
  });
  const connected = new Promise((done) => { client.onConnect = done; });
  client.activate();
  const frame = await soon(connected, 'CONNECTED');
  return { client, errors, version: frame.headers.version };
}

function receipt(client) {
  const id = unique('receipt');
  return [id, soon(new Promise((done) => client.watchForReceipt(id, done)), 'receipt')];
}

async function send(client, destination, body, headers = {}) {
  const [id, told] = receipt(client);
  const content = typeof body === 'string' ? { body } : { binaryBody: body };
  client.publish({ destination, ...content, headers: { ...headers, receipt: id } });
  await told;
}

async function subscribe(client, destination, headers = {}) {
  const messages = inbox();
  const [id, told] = receipt(client);
  const subscription = client.subscribe(destination, (message) => messages.put(message), { ...headers, receipt: id });
  await told;
  return { messages, subscription };
}

test('stompjs-every-version', async () => {
  for (const [word, wanted] of [['1.0', '1.0'], ['1.1', '1.1'], ['1.2', '1.2']]) {
    const { client, version } = await stompjs({ stompVersions: new Versions([word]) });
    expect(version, wanted, 'version');
    const name = `/queue/${unique()}`;
    const { messages } = await subscribe(client, name);
    await send(client, name, 'héllo');
    expect((await messages.take('message')).body, 'héllo');
    await client.deactivate();
  }
});

test('stompjs-binary-and-headers', async () => {
  const { client } = await stompjs();
  const name = `/queue/${unique()}`;
  const { messages } = await subscribe(client, name);
  const bytes = new Uint8Array(70_000).map((_, n) => n % 256);
  await send(client, name, bytes, { odd: 'a:b\\e\nf', priority: '4' });
  const got = await messages.take('message');
  expect(Buffer.compare(Buffer.from(got.binaryBody), Buffer.from(bytes)), 0, 'body');
  expect([got.headers.odd, got.headers.priority], ['a:b\\e\nf', '4']);
  await client.deactivate();
});

test('stompjs-ack-and-nack', async () => {
  const { client } = await stompjs();
  const name = `/queue/${unique()}`;
  const { messages, subscription } = await subscribe(client, name, { ack: 'client-individual' });
  for (const body of ['1', '2', '3']) await send(client, name, body);
  const [one, two, three] = [await messages.take('1'), await messages.take('2'), await messages.take('3')];
  one.ack(); two.nack({ requeue: 'true' });
  const again = await messages.take('what came back');
  expect([again.body, again.headers.redelivered], ['2', 'true']);
  again.ack(); three.nack({ requeue: 'false' });
  subscription.unsubscribe();
  const { messages: rest } = await subscribe(client, name);
  await send(client, name, 'last');
  expect((await rest.take('message')).body, 'last');
  await client.deactivate();
});

test('stompjs-transactions', async () => {
  const { client } = await stompjs();
  const name = `/queue/${unique()}`;
  const { messages } = await subscribe(client, name);
  const dropped = client.begin(), kept = client.begin();
  client.publish({ destination: name, body: 'no', headers: { transaction: dropped.id } });
  client.publish({ destination: name, body: 'yes', headers: { transaction: kept.id } });
  dropped.abort(); kept.commit();
  expect((await messages.take('message')).body, 'yes');
  expect(messages.size, 0);
  await client.deactivate();
});

test('stompjs-heart-beats', async () => {
  const { client } = await stompjs({ heartbeatIncoming: 1000, heartbeatOutgoing: 1000 });
  await new Promise((done) => setTimeout(done, 4_000));
  expect(client.connected, true);
  await client.deactivate();
});

test('stompjs-errors', async () => {
  const { client, errors } = await stompjs();
  client.publish({ destination: '/nowhere', body: 'x' });
  expect((await errors.take('ERROR')).headers.message, 'Unknown destination');
  await client.deactivate();
});

function stompitClient(connectHeaders = {}) {
  const options = { host, port: Number(port), connectHeaders: { host: '/', login: 'guest', passcode: 'guest', ...connectHeaders } };
  return soon(new Promise((done, failed) => {
    stompit.connect(options, (trouble, client) => (trouble ? failed(trouble) : done(client)));
  }), 'connection');
}

function stompitSend(client, headers, body) {
  return soon(new Promise((done) => {
    const frame = client.send(headers, { onReceipt: done });
    frame.end(body);
  }), 'receipt');
}

function stompitRead(client, headers, each) {
  return client.subscribe(headers, (trouble, message) => {
    if (trouble) return;
    message.readString('utf-8', (_, body) => each(message, body));
  });
}

test('stompit-work', async () => {
  const client = await stompitClient({ 'heart-beat': '5000,5000' });
  const name = `/queue/${unique()}`;
  const heard = inbox();
  stompitRead(client, { destination: name, ack: 'client-individual' }, (message, body) => {
    heard.put([body, message.headers.kind]);
    client.ack(message);
  });
  for (let n = 0; n < 20; n += 1) await stompitSend(client, { destination: name, kind: `k${n}` }, `${n}`);
  for (let n = 0; n < 20; n += 1) expect(await heard.take('message'), [`${n}`, `k${n}`]);
  await soon(new Promise((done) => client.disconnect(done)), 'end');
});

test('stompit-transaction', async () => {
  const client = await stompitClient();
  const name = `/queue/${unique()}`;
  const heard = inbox();
  stompitRead(client, { destination: name, ack: 'auto' }, (_, body) => heard.put(body));
  const kept = client.begin();
  kept.send({ destination: name }).end('one');
  kept.send({ destination: name }).end('two');
  kept.commit();
  expect([await heard.take('one'), await heard.take('two')], ['one', 'two']);
  await soon(new Promise((done) => client.disconnect(done)), 'end');
});

test('stompjs-refused', async () => {
  const errors = inbox();
  const client = new Client({
    webSocketFactory: () => new Tcp(), reconnectDelay: 0, onStompError: (frame) => errors.put(frame),
    connectHeaders: { login: 'guest', passcode: 'wrong', host: '/' },
  });
  client.activate();
  expect((await errors.take('ERROR')).body, "Access refused for user 'guest'\n");
  await client.deactivate({ force: true });
});

await runAll(1);
