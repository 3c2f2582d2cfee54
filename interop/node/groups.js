// amqplib: message groups, by the header JMSXGroupID: one group to one consumer at a time, in order.

import { beyondRabbitmq, connect, connected, drop, Inbox, kept, own, send } from './kit.js';
import { expect, waitUntil } from './suite.js';

// Bodies such as a1: group a, its first.
async function publish(channel, queue, names) {
  for (const name of names) await send(channel, queue, name, { headers: { JMSXGroupID: name[0] }, persistent: true });
}

connected('groups-go-side-by-side-and-each-in-order', async (connection, channel) => {
  beyondRabbitmq(connection, 'message groups');
  const queue = await own(channel);
  const done = [[], [], []];
  for (const mine of done) {
    const worker = await connection.createChannel();
    await worker.prefetch(3);
    await worker.consume(queue, (message) => {
      mine.push(message.content.toString());
      worker.ack(message);
    });
  }
  const numbers = Array.from({ length: 10 }, (_, number) => number);
  await publish(channel, queue, numbers.flatMap((number) => ['a', 'b', 'c', 'd'].map((group) => `${group}${number}`)));
  await waitUntil(() => done.flat().length === 40, 'forty done');
  for (const group of ['a', 'b', 'c', 'd']) {
    const parts = done.map((mine) => mine.filter((body) => body[0] === group)).filter((part) => part.length);
    expect(parts, [numbers.map((number) => `${group}${number}`)], 'one consumer, in order');
  }
});

connected('busy-group-does-not-hold-up-others', async (connection, channel) => {
  beyondRabbitmq(connection, 'message groups');
  const queue = await own(channel);
  const busy = await Inbox.at(connection, queue, { noAck: false, prefetch: 1 });
  const free = await Inbox.at(connection, queue, { noAck: false, prefetch: 1 });
  await publish(channel, queue, ['a1']);
  expect(await busy.texts(1), ['a1']);
  await publish(channel, queue, ['a2', 'b1', 'b2']);
  expect(await free.texts(1), ['b1']);
  free.channel.ack(free.got[0]);
  expect(await free.texts(2), ['b1', 'b2']);
  busy.channel.ack(busy.got[0]);
  expect(await busy.texts(2), ['a1', 'a2']);
});

connected('group-is-handed-on-when-its-consumer-dies', async (connection, channel) => {
  beyondRabbitmq(connection, 'message groups');
  await kept(connection, {}, async (queue) => {
    const other = await connect();
    const first = await Inbox.at(other, queue, { noAck: false, prefetch: 2 });
    await publish(channel, queue, ['a1', 'a2', 'a3']);
    expect(await first.texts(2), ['a1', 'a2']);
    const second = await Inbox.at(connection, queue, { noAck: false });
    await publish(channel, queue, ['b1']);
    expect(await second.texts(1), ['b1']);
    drop(other);
    expect(await second.texts(4), ['b1', 'a1', 'a2', 'a3']);
    expect(second.got.map(({ fields }) => fields.redelivered), [false, true, true, false]);
  });
});
