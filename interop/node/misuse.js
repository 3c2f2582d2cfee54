// amqplib against the table of misuse: exact codes and texts, as its error events carry them.

import amqp from 'amqplib';
import { checkMisuse, misuse, test, unique, url } from './suite.js';

const settled = (channel) => channel.prefetch(0);

// A missing vhost is not among them: amqplib drops what the broker says of it.
// Each takes (channel, name, connection) and does what must not be done.
const ways = {
  'passive-queue': (channel, name) => channel.checkQueue(name),
  'passive-exchange': (channel, name) => channel.checkExchange(name),
  'consume-missing': (channel, name) => channel.consume(name, () => {}),
  'get-missing': (channel, name) => channel.get(name),
  'purge-missing': (channel, name) => channel.purgeQueue(name),
  'bind-missing-queue': (channel, name) => channel.bindQueue(name, 'amq.direct', 'k'),
  'bind-missing-exchange': async (channel, name) => channel.bindQueue((await own(channel)), name, 'k'),
  'exchange-bind-missing': (channel, name) => channel.bindExchange('amq.direct', name, 'k'),
  'publish-missing': (channel, name) => (channel.publish(name, 'k', Buffer.from('m')), settled(channel)),
  'no-last-queue': (channel) => channel.purgeQueue(''),
  'reserved-queue': (channel, name) => channel.assertQueue(name),
  'reserved-exchange': (channel, name) => channel.assertExchange(name, 'direct'),
  'delete-reserved': (channel, name) => channel.deleteExchange(name),
  'bind-default': async (channel) => channel.bindQueue((await own(channel)), '', 'k'),
  'publish-internal': async (channel, name) => {
    await channel.assertExchange(name, 'direct', { internal: true, durable: false });
    channel.publish(name, 'k', Buffer.from('m'));
    await settled(channel);
  },
  'exclusive-consumer': async (channel, name) => {
    await channel.assertQueue(name, { durable: false });
    await channel.consume(name, () => {}, { exclusive: true });
    await channel.consume(name, () => {});
  },
  'exclusive-queue': async (channel, name) => {
    const other = await amqp.connect(url);
    try {
      await (await other.createChannel()).assertQueue(name, { exclusive: true, durable: false });
      await channel.get(name);
    } finally {
      await other.close();
    }
  },
  'inequivalent-exclusive': (channel, name) => twice(channel, name, { exclusive: true }),
  'inequivalent-durable': (channel, name) => twice(channel, name, { durable: true }),
  'inequivalent-auto-delete': (channel, name) => twice(channel, name, { autoDelete: true }),
  'inequivalent-type': async (channel, name) => {
    await channel.assertExchange(name, 'direct', { durable: false });
    await channel.assertExchange(name, 'fanout', { durable: false });
  },
  'queue-in-use': async (channel, name) => {
    await channel.assertQueue(name, { durable: false });
    await channel.consume(name, () => {});
    await channel.deleteQueue(name, { ifUnused: true });
  },
  'queue-not-empty': async (channel, name, connection) => {
    const confirming = await connection.createConfirmChannel();
    await channel.assertQueue(name, { durable: false });
    confirming.sendToQueue(name, Buffer.from('m'));
    await confirming.waitForConfirms();
    await channel.deleteQueue(name, { ifEmpty: true });
  },
  'exchange-in-use': async (channel, name) => {
    await channel.assertExchange(name, 'direct', { durable: false });
    await channel.bindQueue((await own(channel)), name, 'k');
    await channel.deleteExchange(name, { ifUnused: true });
  },
  'unknown-tag': (channel) => (channel.ack({ fields: { deliveryTag: 99 } }), settled(channel)),
  'unknown-type': (channel, name) => channel.assertExchange(name, name),
  'tag-reuse': async (channel, name) => {
    await channel.assertQueue(name, { durable: false });
    await channel.consume(name, () => {}, { consumerTag: name });
    await channel.consume(name, () => {}, { consumerTag: name });
  },
  'bad-password': (_, name) => {
    const other = new URL(url);
    other.password = name;
    return amqp.connect(other.href);
  },
};

const names = { 'reserved-queue': 'amq.', 'reserved-exchange': 'amq.' };

async function own(channel) {
  return (await channel.assertQueue('', { exclusive: true })).queue;
}

async function twice(channel, name, second) {
  await channel.assertQueue(name, { durable: false });
  await channel.assertQueue(name, { durable: false, ...second });
}

// The broker's words, out of the sentence that amqplib builds around them.
function said(error) {
  const quoted = /(\d{3}) \([A-Z-]+\) with message "(.*)"$/s.exec(error.message);
  return quoted ? [Number(quoted[1]), quoted[2]] : [error.code, error.message];
}

for (const [kind, provoke] of Object.entries(ways)) {
  test(`misuse-${kind}`, async () => {
    if (!misuse.has(kind)) throw new Error('not in the table');
    const name = kind === 'delete-reserved' ? 'amq.direct' : `${names[kind] ?? ''}${unique('m')}`;
    const connection = await amqp.connect(url);
    let heard;
    const told = new Promise((resolve) => { heard = resolve; });
    connection.on('error', heard);
    const channel = await connection.createChannel();
    channel.on('error', heard);
    const rejected = Promise.resolve(provoke(channel, name, connection)).then(() => new Promise(() => {}), (error) => error);
    // A connection-level refusal rejects pending calls without its text, and says it by the event.
    const error = await Promise.race([told, rejected.then((e) => (e.message.includes('with message') ? e : told))]);
    checkMisuse(kind, name, ...said(error));
    const cleaning = await amqp.connect(url);
    const cleaner = await cleaning.createChannel();
    if (!name.startsWith('amq.')) {
      await cleaner.deleteQueue(name);
      await cleaner.deleteExchange(name);
    }
    await cleaning.close();
    await connection.close().catch(() => {});
  });
}
