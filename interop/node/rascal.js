// Rascal, a library over amqplib: its topologies, and its ways to try again what has failed.

import rascal from 'rascal';
import { connect } from './kit.js';
import { expect, test, unique, url, waitUntil } from './suite.js';

// A broker of Rascal's with this topology, taken away again at the end.
async function withBroker(config, run) {
  const broker = await rascal.BrokerAsPromised.create(rascal.withDefaultConfig({
    vhosts: { '/': { connection: url, ...config } },
  }));
  const troubles = [];
  broker.on('error', (error) => troubles.push(error.message));
  try {
    await run(broker, troubles);
    expect(troubles, [], 'errors');
  } finally {
    await broker.nuke();
  }
}

test('rascal-defers-and-gives-up', async () => {
  const [work, dead] = [unique('work'), unique('dead')];
  await withBroker({
    exchanges: [work],
    queues: {
      [work]: { options: { arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead } } },
      [dead]: {},
    },
    bindings: [`${work}[job.*] -> ${work}`],
    publications: { job: { exchange: work, routingKey: 'job.new' } },
    subscriptions: { job: { queue: work, prefetch: 3 }, dead: { queue: dead } },
  }, async (broker) => {
    const attempts = [];
    const subscription = await broker.subscribe('job');
    subscription.on('message', (message, content, ackOrNack) => {
      attempts.push([content.n, Date.now()]);
      ackOrNack(new Error('not now'), [{ strategy: 'republish', defer: 100, attempts: 3 }, { strategy: 'nack' }]);
    });
    const letters = [];
    (await broker.subscribe('dead')).on('message', (message, content, ackOrNack) => {
      letters.push([content, message.properties.headers]);
      ackOrNack();
    });
    await broker.publish('job', { n: 7 });
    await waitUntil(() => letters.length, 'the dead letter');
    expect(attempts.map(([n]) => n), [7, 7, 7, 7]);
    for (let at = 1; at < 4; at += 1) expect(attempts[at][1] - attempts[at - 1][1] >= 95, true, 'deferred');
    const [[content, headers]] = letters;
    expect([content, headers['x-death'][0].reason, headers['x-death'][0].queue], [{ n: 7 }, 'rejected', work]);
  });
});

test('rascal-waits-in-a-queue', async () => {
  const [work, delay] = [unique('work'), unique('delay')];
  await withBroker({
    exchanges: [work, delay],
    queues: {
      [work]: { options: { arguments: { 'x-dead-letter-exchange': delay, 'x-dead-letter-routing-key': 'wait' } } },
      [delay]: {
        options: { arguments: { 'x-message-ttl': 60, 'x-dead-letter-exchange': work, 'x-dead-letter-routing-key': 'again' } },
      },
    },
    bindings: [`${work}[new,again] -> ${work}`, `${delay}[wait] -> ${delay}`],
    publications: { job: { exchange: work, routingKey: 'new', confirm: true } },
    subscriptions: { job: { queue: work } },
  }, async (broker) => {
    const seen = [];
    (await broker.subscribe('job')).on('message', (message, content, ackOrNack) => {
      const rejections = (message.properties.headers['x-death'] ?? []).find(({ reason }) => reason === 'rejected');
      seen.push([message.fields.routingKey, rejections?.count ?? 0]);
      if (seen.length < 3) ackOrNack(new Error('not now'));
      else ackOrNack();
    });
    await broker.publish('job', 'text');
    await waitUntil(() => seen.length >= 3, 'three attempts');
    expect(seen, [['new', 0], ['again', 1], ['again', 2]]);
    const connection = await connect();
    const channel = await connection.createChannel();
    await waitUntil(async () => (await channel.checkQueue(work)).messageCount === 0, 'done');
    await connection.close();
  });
});

test('rascal-counts-redeliveries-of-a-quorum-queue', async () => {
  const work = unique('work');
  await withBroker({
    queues: { [work]: { options: { arguments: { 'x-queue-type': 'quorum' } } } },
    publications: { job: { queue: work } },
    subscriptions: { job: { queue: work, prefetch: 1, redeliveries: { limit: 5 } } },
  }, async (broker) => {
    const counts = [];
    (await broker.subscribe('job')).on('message', (message, content, ackOrNack) => {
      counts.push(message.properties.headers['x-delivery-count'] ?? 0);
      if (counts.length < 4) ackOrNack(new Error('again'), { strategy: 'nack', requeue: true });
      else ackOrNack();
    });
    await broker.publish('job', 'text');
    await waitUntil(() => counts.length >= 4, 'four attempts');
    expect(counts, [0, 1, 2, 3]);
  });
});
