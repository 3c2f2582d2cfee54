// amqplib: declarations, confirms, deliveries, settlement, tables, refusals, recovery.

import amqp from 'amqplib';
import { expect, restartBroker, runAll, test, unique, url, waitUntil } from './suite.js';
import './misuse.js';

const transient = { durable: false };

// A case that gets a connection and cannot leak it.
function connected(name, run) {
  test(name, async () => {
    const connection = await amqp.connect(url);
    connection.on('error', () => {});
    try {
      await run(connection);
    } finally {
      await connection.close().catch(() => {});
    }
  });
}

async function filled(connection, count) {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue(unique(), transient);
  for (let number = 1; number <= count; number += 1) channel.sendToQueue(queue, Buffer.from(String(number)));
  await channel.waitForConfirms();
  return [channel, queue];
}

async function drain(channel, queue) {
  const got = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) return got;
    got.push([message.content.toString(), message.fields.redelivered]);
  }
}

const ready = async (channel, queue) => (await channel.checkQueue(queue)).messageCount;

connected('connect', async (connection) => {
  const { capabilities, product, version } = connection.connection.serverProperties;
  for (const name of [
    'publisher_confirms', 'exchange_exchange_bindings', 'basic.nack', 'consumer_cancel_notify', 'connection.blocked',
    'consumer_priorities', 'authentication_failure_close', 'per_consumer_qos', 'direct_reply_to',
  ]) expect(capabilities[name], true, name);
  expect([typeof product, typeof version], ['string', 'string']);
});

connected('declarations', async (connection) => {
  const channel = await connection.createChannel();
  for (const type of ['direct', 'fanout', 'topic', 'headers']) {
    for (const durable of [true, false]) {
      const name = unique('x');
      await channel.assertExchange(name, type, { durable });
      await channel.assertExchange(name, type, { durable });
      await channel.checkExchange(name);
      await channel.deleteExchange(name);
    }
  }
  const named = await channel.assertQueue('', { exclusive: true });
  if (!named.queue.startsWith('amq.gen-')) throw new Error(named.queue);
  const temporary = await channel.assertQueue(unique(), { autoDelete: true, durable: false });
  const { consumerTag } = await channel.consume(temporary.queue, () => {});
  expect((await channel.checkQueue(temporary.queue)).consumerCount, 1);
  await channel.cancel(consumerTag);
  await waitUntil(async () => {
    const probe = await connection.createChannel();
    probe.on('error', () => {});
    return probe.checkQueue(temporary.queue).then(() => probe.close().then(() => false), (error) => error.code === 404);
  }, 'the auto-delete queue gone');
});

connected('routing', async (connection) => {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const reach = async (exchange, key, headers) => {
    channel.publish(exchange, key, Buffer.from('m'), { headers });
    await channel.waitForConfirms();
    return (await channel.purgeQueue(queue)).messageCount;
  };
  const topic = unique('x');
  const fanout = unique('x');
  const headers = unique('x');
  await channel.assertExchange(topic, 'topic', transient);
  await channel.assertExchange(fanout, 'fanout', transient);
  await channel.assertExchange(headers, 'headers', transient);
  await channel.bindQueue(queue, topic, 'a.*.c');
  expect([await reach(topic, 'a.b.c'), await reach(topic, 'a.c')], [1, 0]);
  await channel.unbindQueue(queue, topic, 'a.*.c');
  expect(await reach(topic, 'a.b.c'), 0);
  await channel.bindQueue(queue, fanout, '');
  await channel.bindExchange(fanout, topic, '#');
  expect(await reach(topic, 'any'), 1, 'exchange to exchange');
  await channel.unbindExchange(fanout, topic, '#');
  expect(await reach(topic, 'any'), 0);
  await channel.bindQueue(queue, headers, '', { 'x-match': 'all', a: 1, b: 'two' });
  expect([await reach(headers, '', { a: 1, b: 'two' }), await reach(headers, '', { a: 1 })], [1, 0]);
  for (const exchange of [topic, fanout, headers]) await channel.deleteExchange(exchange);
});

connected('confirms-in-flight', async (connection) => {
  const count = 5000;
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue(unique(), { durable: true });
  const outcomes = [];
  for (let number = 0; number < count; number += 1) {
    channel.sendToQueue(queue, Buffer.from(String(number)), { persistent: true }, (error) => outcomes.push(error));
  }
  await channel.waitForConfirms();
  expect([outcomes.length, outcomes.filter(Boolean).length], [count, 0]);
  expect((await channel.deleteQueue(queue)).messageCount, count);
});

connected('mandatory-return', async (connection) => {
  const channel = await connection.createConfirmChannel();
  const events = [];
  channel.on('return', ({ fields, content, properties }) => {
    events.push([fields.replyCode, fields.replyText, content.toString(), properties.messageId]);
  });
  await new Promise((resolve) => {
    channel.publish('', unique('nowhere'), Buffer.from('back'), { mandatory: true, messageId: '7' }, () => {
      events.push('acked');
      resolve();
    });
  });
  expect(events, [[312, 'NO_ROUTE', 'back', '7'], 'acked']);
});

connected('reply-to-another-connection', async (connection) => {
  const other = await amqp.connect(url);
  try {
    const [asking, serving] = [await connection.createChannel(), await other.createChannel()];
    const { queue } = await serving.assertQueue(unique(), { exclusive: true });
    await serving.consume(queue, (message) => {
      const { replyTo, correlationId } = message.properties;
      serving.sendToQueue(replyTo, Buffer.from(`${message.content}!`), { correlationId });
      serving.ack(message);
    });
    const replies = [];
    const replyTo = 'amq.rabbitmq.reply-to';
    await asking.consume(replyTo, ({ properties, content }) => {
      replies.push([properties.correlationId, content.toString()]);
    }, { noAck: true });
    for (const n of ['1', '2', '3']) {
      asking.sendToQueue(queue, Buffer.from(`ask ${n}`), { correlationId: n, replyTo });
    }
    await waitUntil(() => replies.length >= 3, 'three replies');
    expect(replies, [['1', 'ask 1!'], ['2', 'ask 2!'], ['3', 'ask 3!']]);
  } finally {
    await other.close();
  }
});

connected('prefetch', async (connection) => {
  const [watcher, queue] = await filled(connection, 20);
  const channel = await connection.createChannel();
  await channel.prefetch(5);
  const got = [];
  await channel.consume(queue, (message) => got.push(message));
  await waitUntil(() => got.length >= 5, 'five deliveries');
  expect([await ready(watcher, queue), got.length], [15, 5]);
  channel.ack(got[1], true);
  await waitUntil(() => got.length >= 7, 'two more');
  expect([await ready(watcher, queue), got.length], [13, 7]);
  channel.nack(got[2], false, false);
  await waitUntil(() => got.length >= 8, 'one more');
  expect(got.map((message) => message.content.toString()), ['1', '2', '3', '4', '5', '6', '7', '8']);
  await channel.close();
  await waitUntil(async () => (await ready(watcher, queue)) === 17, 'all back');
  expect((await drain(watcher, queue))[0], ['4', true]);
  await watcher.deleteQueue(queue);
});

connected('requeue', async (connection) => {
  const [channel, queue] = await filled(connection, 4);
  const [first, second, third] = [await channel.get(queue), await channel.get(queue), await channel.get(queue)];
  channel.reject(second, true);
  const again = await channel.get(queue);
  expect([again.content.toString(), again.fields.redelivered, again.fields.messageCount], ['2', true, 1]);
  channel.nack(again);
  channel.nack(first);
  channel.reject(third, false);
  expect(await drain(channel, queue), [['1', true], ['2', true], ['4', false]]);
  expect(await channel.get(queue), false, 'empty');
  await channel.deleteQueue(queue);
});

connected('recover', async (connection) => {
  const [channel, queue] = await filled(connection, 2);
  await channel.get(queue);
  await channel.recover();
  expect(await drain(channel, queue), [['1', true], ['2', false]]);
  await channel.deleteQueue(queue);
});

connected('header-table', async (connection) => {
  const headers = {
    text: 'täxt', empty: '', true: true, false: false, byte: { '!': 'byte', value: -5 }, short: { '!': 'short', value: -300 },
    int: { '!': 'int', value: -70000 }, long: { '!': 'int64', value: -(2 ** 40) }, float: { '!': 'float', value: 1.5 },
    double: { '!': 'double', value: 2.25 }, decimal: { '!': 'decimal', value: { places: 2, digits: 125 } },
    time: { '!': 'timestamp', value: 1700000000 }, none: null, bytes: Buffer.from([0, 255]),
    table: { in: { deep: 1 } }, array: [1, 'a', true, null, { k: [2] }],
  };
  const [channel, queue] = await filled(connection, 0);
  const properties = {
    contentType: 'text/plain', contentEncoding: 'utf-8', priority: 7, correlationId: 'c', replyTo: 'r', expiration: '60000',
    messageId: 'm', timestamp: 1700000000, type: 't', userId: 'guest', appId: 'a', deliveryMode: 2,
  };
  channel.sendToQueue(queue, Buffer.from('m'), { ...properties, headers });
  await channel.waitForConfirms();
  const back = await channel.get(queue, { noAck: true });
  const plain = Object.fromEntries(Object.entries(headers).map(([key, value]) => {
    const typed = value !== null && value['!'];
    if (!typed) return [key, value];
    return [key, ['timestamp', 'decimal'].includes(typed) ? value : value.value];
  }));
  expect(back.properties.headers, plain);
  for (const [key, value] of Object.entries(properties)) expect(back.properties[key], value, key);
  await channel.deleteQueue(queue);
});

connected('bodies', async (connection) => {
  const large = Buffer.alloc(8 * 1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
  const [channel, queue] = await filled(connection, 0);
  const bodies = [large, Buffer.alloc(0), Buffer.from('after')];
  for (const body of bodies) channel.sendToQueue(queue, body);
  await channel.waitForConfirms();
  for (const body of bodies) {
    const back = await channel.get(queue, { noAck: true });
    expect([back.content.length, back.content.equals(body)], [body.length, true]);
  }
  await channel.deleteQueue(queue);
});

connected('cancel-notify', async (connection) => {
  const [channel, queue] = await filled(connection, 0);
  const cancelled = new Promise((resolve) => {
    channel.consume(queue, (message) => { if (message === null) resolve(); });
  });
  await channel.checkQueue(queue);
  const other = await amqp.connect(url);
  await (await other.createChannel()).deleteQueue(queue);
  await cancelled;
  await other.close();
  await channel.prefetch(1);
});

connected('channel-error-survived', async (connection) => {
  const [steady, queue] = await filled(connection, 1);
  for (let round = 0; round < 3; round += 1) {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    const code = await channel.checkQueue(unique('missing')).then(() => 0, (error) => error.code);
    expect(code, 404);
  }
  expect(await drain(steady, queue), [['1', false]]);
  await steady.deleteQueue(queue);
});

connected('purge-and-delete', async (connection) => {
  const [channel, queue] = await filled(connection, 5);
  const held = await channel.get(queue);
  expect((await channel.purgeQueue(queue)).messageCount, 4);
  channel.nack(held);
  expect((await channel.deleteQueue(queue, { ifUnused: true })).messageCount, 1);
  await channel.deleteQueue(queue);
});

connected('update-secret', async (connection) => {
  await connection.updateSecret(Buffer.from('guest'), 'rotation');
  await (await connection.createChannel()).prefetch(1);
});

test('heartbeat', async () => {
  const connection = await amqp.connect(`${url}?heartbeat=1`);
  let lost;
  connection.on('error', (error) => { lost = error; });
  const quiet = Date.now() + 3000;
  await waitUntil(() => lost || Date.now() > quiet, 'three quiet seconds');
  if (lost) throw lost;
  await (await connection.createChannel()).assertQueue('', { exclusive: true });
  await connection.close();
});

test('frame-max-4096', async () => {
  const connection = await amqp.connect(`${url}?frameMax=4096`);
  const [channel, queue] = await filled(connection, 0);
  const body = Buffer.alloc(30_000, 'frames');
  channel.sendToQueue(queue, body);
  await channel.waitForConfirms();
  expect((await channel.get(queue, { noAck: true })).content.equals(body), true);
  await channel.deleteQueue(queue);
  await connection.close();
});

test('restart', async () => {
  const before = await amqp.connect(url);
  before.on('error', () => {});
  const channel = await before.createConfirmChannel();
  const { queue } = await channel.assertQueue(unique(), { durable: true });
  for (let number = 0; number < 200; number += 1) channel.sendToQueue(queue, Buffer.from(String(number)), { persistent: true });
  await channel.waitForConfirms();
  const closed = new Promise((resolve) => { before.on('close', resolve); });
  try {
    await restartBroker();
  } catch (trouble) {
    await before.close();
    throw trouble;
  }
  await closed;
  const after = await amqp.connect(url);
  const fresh = await after.createChannel();
  const wanted = Array.from({ length: 200 }, (_, number) => String(number));
  expect((await drain(fresh, queue)).map(([body]) => body), wanted);
  await fresh.deleteQueue(queue);
  await after.close();
});

await runAll();
