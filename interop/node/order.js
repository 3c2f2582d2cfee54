// amqplib: who gets what first, and how often: priorities, turns, limits, timeouts.

import { beyondRabbitmq, bodies, connect, connected, drop, Inbox, kept, letterBox, needs, own, ready, send } from './kit.js';
import { death, deaths } from './dead.js';
import { expect, waitUntil } from './suite.js';

connected('highest-priority-first', async (_, channel) => {
  const queue = await own(channel, { 'x-max-priority': 5 });
  for (const [body, priority] of Object.entries([1, 5, undefined, 3, 5, 1, 0, 200])) {
    await send(channel, queue, body, { priority });
  }
  expect(await bodies(channel, queue), ['1', '4', '7', '3', '0', '5', '2', '6']);
});

connected('requeued-goes-to-its-place-in-its-priority', async (_, channel) => {
  const queue = await own(channel, { 'x-max-priority': 9 });
  for (const [body, priority] of [['a', 5], ['b', 5], ['c', 9], ['d', 1]]) await send(channel, queue, body, { priority });
  const [c, a, b] = [await channel.get(queue), await channel.get(queue), await channel.get(queue)];
  await send(channel, queue, 'e', { priority: 7 });
  channel.nack(a);
  channel.nack(c);
  expect(await bodies(channel, queue), ['c', 'e', 'a', 'd']);
  channel.nack(b);
  const again = await channel.get(queue);
  expect([again.content.toString(), again.fields.redelivered], ['b', true]);
});

connected('priorities-with-a-bound-drop-the-head', async (_, channel) => {
  const queue = await own(channel, { 'x-max-priority': 9, 'x-max-length': 2 });
  for (const [body, priority] of [['high', 9], ['low', 1], ['middle', 5]]) await send(channel, queue, body, { priority });
  expect(await bodies(channel, queue), ['middle', 'low']);
});

connected('highest-priority-first-in-a-quorum-queue', async (connection, channel) => {
  beyondRabbitmq(connection, 'x-max-priority on a quorum queue');
  await kept(connection, { 'x-queue-type': 'quorum', 'x-max-priority': 5 }, async (queue) => {
    for (const [body, priority] of [['low', 1], ['high', 5], ['none', undefined]]) await send(channel, queue, body, { priority, persistent: true });
    expect(await bodies(channel, queue), ['high', 'low', 'none']);
  });
});

connected('consumer-of-higher-priority-gets-all-it-can-take', async (connection, channel) => {
  const queue = await own(channel);
  const low = await Inbox.at(connection, queue, { noAck: false });
  const high = await Inbox.at(connection, queue, { noAck: false, prefetch: 2, priority: 10 });
  await send(channel, queue, ['1', '2', '3']);
  expect([await high.texts(2), await low.texts(1)], [['1', '2'], ['3']]);
  high.channel.ack(high.got[0]);
  await high.channel.prefetch(2);
  await send(channel, queue, '4');
  expect((await high.texts(3))[2], '4');
});

for (const [kind, queueArguments] of [['classic', {}], ['quorum', { 'x-queue-type': 'quorum' }]]) {
  connected(`single-active-consumer-of-a-${kind}-queue-hands-over`, async (connection, channel) => {
    await kept(connection, { 'x-single-active-consumer': true, ...queueArguments }, async (queue) => {
      const active = await connect();
      const first = await Inbox.at(active, queue, { noAck: false });
      const second = await Inbox.at(connection, queue, { noAck: false });
      const third = await Inbox.at(connection, queue, { noAck: false });
      await send(channel, queue, ['1', '2', '3'], { persistent: true });
      first.channel.ack((await first.wait(3))[0]);
      await first.channel.prefetch(0);
      drop(active);
      expect(await second.texts(2), ['2', '3'], 'from a dead one');
      expect(second.got.map(({ fields }) => fields.redelivered), [true, true]);
      second.channel.ack(second.got[1], true);
      await second.channel.cancel(second.tag);
      await send(channel, queue, '4', { persistent: true });
      expect(await third.texts(1), ['4'], 'from one that cancels');
    });
  });
}

connected('exclusive-consumer-stands-alone-until-it-goes', async (connection, channel) => {
  const queue = await own(channel);
  const only = await Inbox.at(connection, queue, { exclusive: true });
  const refused = (exclusive) => Inbox.at(connection, queue, { exclusive }).then(() => 0, (error) => error.code);
  expect([await refused(false), await refused(true)], [403, 403]);
  await only.channel.cancel(only.tag);
  await Inbox.at(connection, queue);
  expect(await refused(true), 403, 'nor where others are');
});

async function limited(connection, channel, type) {
  const [, letters] = await letterBox(connection, channel);
  await kept(connection, {
    'x-queue-type': type, 'x-delivery-limit': 2, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': letters.queue,
  }, async (queue) => {
    const inbox = await Inbox.at(connection, queue, { noAck: false, prefetch: 1 });
    await send(channel, queue, 'bad', { persistent: true });
    for (let attempt = 1; attempt < 4; attempt += 1) {
      const message = (await inbox.wait(attempt)).at(-1);
      const count = message.properties.headers['x-delivery-count'];
      expect([message.fields.redelivered, count], [attempt > 1, attempt > 1 ? attempt - 1 : undefined], `delivery ${attempt}`);
      inbox.channel.nack(message);
    }
    const [letter] = await letters.wait(1);
    expect(deaths(letter), [death(1, 'delivery_limit', queue)]);
    await send(channel, queue, 'good', { persistent: true });
    expect((await inbox.texts(4))[3], 'good');
  });
}

connected('delivery-limit-of-a-quorum-queue', (connection, channel) => limited(connection, channel, 'quorum'));

connected('delivery-limit-of-a-classic-queue', async (connection, channel) => {
  beyondRabbitmq(connection, 'x-delivery-limit on a classic queue');
  await limited(connection, channel, 'classic');
});

connected('delayed-retry-waits-longer-each-time', async (connection, channel) => {
  needs(connection, '4.3', 'x-delayed-retry-type');
  await kept(connection, {
    'x-queue-type': 'quorum', 'x-delayed-retry-type': 'all', 'x-delayed-retry-min': 150, 'x-delayed-retry-max': 300,
  }, async (queue) => {
    const inbox = await Inbox.at(connection, queue, { noAck: false, prefetch: 1 });
    await send(channel, queue, 'm', { persistent: true });
    for (const [attempt, least] of [[1, 0], [2, 150], [3, 300], [4, 300]]) {
      const began = Date.now();
      const message = (await inbox.wait(attempt)).at(-1);
      if (Date.now() - began < least - 20) throw new Error(`back after ${Date.now() - began} ms, at least ${least} wanted`);
      inbox.channel.nack(message);
    }
  });
});

for (const [by, queueArguments, consumerArguments] of [
  ['queue', { 'x-consumer-timeout': 200 }, {}], ['consumer', {}, { 'x-consumer-timeout': 200 }],
]) {
  connected(`consumer-timeout-by-the-${by}`, async (connection, channel) => {
    beyondRabbitmq(connection, 'a consumer timeout that leaves the channel alone');
    const queue = await own(channel, queueArguments);
    const slow = await Inbox.at(connection, queue, { noAck: false, arguments: consumerArguments });
    await send(channel, queue, 'm');
    await slow.wait(1);
    await waitUntil(() => slow.cancelled, 'basic.cancel');
    const [again] = await (await Inbox.at(connection, queue)).wait(1);
    expect([again.content.toString(), again.fields.redelivered], ['m', true]);
    expect(await ready(slow.channel, queue), 0, 'the channel lives');
  });
}
