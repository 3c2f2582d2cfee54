// amqplib: who gets what first, and how often: priorities, turns, limits, timeouts.

import { bodies, connected, drop, Inbox, own, send } from './kit.js';
import './dead.js';
import { expect } from './suite.js';

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

connected('exclusive-consumer-stands-alone-until-it-goes', async (connection, channel) => {
  const queue = await own(channel);
  const only = await Inbox.at(connection, queue, { exclusive: true });
  const refused = (exclusive) => Inbox.at(connection, queue, { exclusive }).then(() => 0, (error) => error.code);
  expect([await refused(false), await refused(true)], [403, 403]);
  await only.channel.cancel(only.tag);
  await Inbox.at(connection, queue);
  expect(await refused(true), 403, 'nor where others are');
});
