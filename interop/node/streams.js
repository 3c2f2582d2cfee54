// amqplib: streams: read again and again, from anywhere, by many; and the kinds of queues told apart.

import { any, connect, connected, Inbox, kept, needs, olderThan, ready, refusal, restarted, send } from './kit.js';
import { expect, waitUntil } from './suite.js';

const stream = { 'x-queue-type': 'stream' };
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => String(from + index));
const offset = ({ properties }) => Number(properties.headers['x-stream-offset']);

// One by one, so that none shares a chunk with another.
async function numbered(channel, queue, from, to, options = {}) {
  for (const number of numbers(from, to)) await send(channel, queue, number, options);
}

const reader = (connection, queue, from, { prefetch = 200, ...more } = {}) => Inbox.at(connection, queue, {
  noAck: false, prefetch, arguments: { ...(from === undefined ? {} : { 'x-stream-offset': from }), ...more },
});

connected('stream-offsets', (connection, channel) => kept(connection, stream, async (queue) => {
  await numbered(channel, queue, 0, 10);
  const [unsaid, next, four, first, last] = await Promise.all(
    [undefined, 'next', 4, 'first', 'last'].map((from) => reader(connection, queue, from)));
  await numbered(channel, queue, 10, 15);
  for (const [inbox, from] of [[unsaid, 10], [next, 10], [four, 4], [first, 0]]) {
    expect(await inbox.texts(15 - from), numbers(from, 15), `from ${from}`);
    expect(inbox.got.map(offset), numbers(from, 15).map(Number));
  }
  await waitUntil(() => last.got.length && offset(last.got.at(-1)) === 14, 'the last one');
  const begins = offset(last.got[0]);
  if (begins <= 0 || begins >= 10) throw new Error(`last began at ${begins}`);
  await waitUntil(async () => (await ready(channel, queue)) === 15, 'nothing gone');
}));

connected('stream-offset-by-time', (connection, channel) => kept(connection, stream, async (queue) => {
  await numbered(channel, queue, 0, 5);
  const border = Math.floor(Date.now() / 1000) + 1;
  await waitUntil(() => Date.now() > border * 1000 + 50, 'the next second');
  await numbered(channel, queue, 5, 10);
  const since = (value) => reader(connection, queue, { '!': 'timestamp', value });
  expect(await (await since(border)).texts(5), numbers(5, 10));
  expect(await (await since(border - 3600)).texts(10), numbers(0, 10));
}));

connected('stream-readers-at-their-own-pace', (connection, channel) => kept(connection, stream, async (queue) => {
  await numbered(channel, queue, 0, 20);
  const slow = await reader(connection, queue, 'first', { prefetch: 3 });
  const fast = await reader(connection, queue, 'first');
  expect(await fast.texts(20), numbers(0, 20));
  expect(await slow.texts(3), numbers(0, 3), 'its prefetch');
  slow.channel.ack(slow.got[1], true);
  expect(await slow.texts(5), numbers(0, 5));
}));

connected('stream-by-a-filter', (connection, channel) => kept(connection, stream, async (queue) => {
  needs(connection, '3.13', 'x-stream-filter');
  for (const number of numbers(0, 20)) {
    await send(channel, queue, number, { headers: { 'x-stream-filter-value': number % 2 ? 'odd' : 'even' } });
  }
  const inbox = await reader(connection, queue, 'first', { 'x-stream-filter': 'odd' });
  // What the broker lets through by chance the application leaves out, as it must.
  const odd = () => inbox.got.filter(({ properties }) => properties.headers['x-stream-filter-value'] === 'odd');
  await waitUntil(() => odd().length === 10, 'ten of them');
  expect(odd().map(offset), numbers(0, 20).map(Number).filter((number) => number % 2));
}));

connected('kinds-are-told-apart-and-none-is-classic', async (connection, channel) => {
  await kept(connection, {}, (queue) => channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } }));
  await kept(connection, { 'x-queue-type': 'classic' }, (queue) => channel.assertQueue(queue, { durable: true }));
  for (const type of ['quorum', 'stream']) {
    await kept(connection, { 'x-queue-type': type }, async (queue) => {
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
      expect((await refusal((other) => other.assertQueue(queue, { durable: true })))[0], 406, type);
    });
  }
});

connected('kinds-survive-a-kill', async (before, channel) => {
  await kept(before, stream, (log) => kept(before, { 'x-queue-type': 'quorum' }, async (quorum) => {
    await numbered(channel, log, 0, 50);
    await numbered(channel, quorum, 0, 20);
    const inbox = await reader(before, log, 'first', { prefetch: 10 });
    const stored = offset((await inbox.wait(10)).at(-1));
    await restarted(before);
    const after = await connect();
    try {
      // RabbitMQ's lasting kinds need a while after a start.
      const down = (error) => (/is down or inaccessible/.test(error.message) ? undefined : Promise.reject(error));
      const awake = async (queue) => {
        const probe = await after.createChannel();
        probe.on('error', () => {});
        return probe.checkQueue(queue).then(() => probe.close().then(() => true), down);
      };
      await waitUntil(() => awake(log), 'the stream awake');
      await waitUntil(() => awake(quorum), 'the quorum queue awake');
      const again = await reader(after, log, stored + 1);
      expect(await again.texts(50 - stored - 1), numbers(stored + 1, 50));
      const got = await (await Inbox.at(after, quorum)).texts(20);
      expect(olderThan(after, any) ? got.sort((a, b) => a - b) : got, numbers(0, 20));
    } finally {
      await after.close();
    }
  }));
}, { alone: true });
