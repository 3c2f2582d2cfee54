// amqplib: what goes by itself: x-message-ttl, expiration, x-expires.

import { beyondRabbitmq, bodies, connected, Inbox, letterBox, own, send } from './kit.js';
import { expect, waitUntil } from './suite.js';

const later = (milliseconds) => {
  const end = Date.now() + milliseconds;
  return () => Date.now() > end;
};

// Waits until the queue is no more without asking for it: every question keeps it.
async function vanished(connection, queue) {
  const channel = await connection.createConfirmChannel();
  let returned = false;
  channel.on('return', () => { returned = true; });
  await waitUntil(async () => (await send(channel, queue, 'm', { mandatory: true }), returned), `${queue} gone`);
  await channel.close();
}

connected('queue-ttl-expires-what-waits', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel, { 'x-message-ttl': 150 });
  const began = Date.now();
  await send(channel, queue, ['1', '2', '3']);
  expect(await letters.texts(3), ['1', '2', '3'], 'oldest first');
  if (Date.now() - began < 140) throw new Error(`expired after ${Date.now() - began} ms`);
  expect(await bodies(channel, queue), []);
});

connected('queue-ttl-of-zero-delivers-at-once-or-not-at-all', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel, { 'x-message-ttl': 0 });
  await send(channel, queue, 'nobody');
  expect(await letters.texts(1), ['nobody']);
  const inbox = await Inbox.at(connection, queue);
  await send(channel, queue, 'somebody');
  expect(await inbox.texts(1), ['somebody']);
  expect(letters.got.length, 1);
});

connected('lower-of-expiration-and-queue-ttl', async (connection, channel) => {
  const [patient, late] = await letterBox(connection, channel, { 'x-message-ttl': 60_000 });
  const [hasty, early] = await letterBox(connection, channel, { 'x-message-ttl': 50 });
  await send(channel, patient, 'm', { expiration: '50' });
  await send(channel, hasty, 'm', { expiration: 60_000 });
  expect([await late.texts(1), await early.texts(1)], [['m'], ['m']]);
});

connected('expired-is-never-delivered-behind-a-longer-lived-head', async (_, channel) => {
  const queue = await own(channel);
  const past = later(60);
  await send(channel, queue, 'head', { expiration: 60_000 });
  await send(channel, queue, 'short', { expiration: 50 });
  await send(channel, queue, 'last');
  await waitUntil(past, 'its time');
  expect(await bodies(channel, queue), ['head', 'last']);
});

connected('expired-goes-from-behind-a-longer-lived-head', async (connection, channel) => {
  beyondRabbitmq(connection, 'expiry behind the head of a classic queue');
  const [queue, letters] = await letterBox(connection, channel);
  await send(channel, queue, 'head', { expiration: 60_000 });
  await send(channel, queue, 'second', { expiration: 200 });
  await send(channel, queue, 'first', { expiration: 100 });
  expect(await letters.texts(2), ['first', 'second']);
  expect(await bodies(channel, queue), ['head']);
});

connected('unused-queue-goes-and-a-used-one-stays', async (connection, channel) => {
  const brief = { 'x-expires': 250 };
  const [unused, consumed, asked] = [await own(channel, brief), await own(channel, brief), await own(channel, brief)];
  const inbox = await Inbox.at(connection, consumed);
  const over = later(600);
  await waitUntil(async () => (await channel.get(asked), over()), 'a while');
  await vanished(connection, unused);
  await send(channel, asked, 'm', { mandatory: true });
  await send(channel, consumed, 'm');
  expect(await inbox.texts(1), ['m']);
  await inbox.channel.cancel(inbox.tag);
  await vanished(connection, consumed);
  await vanished(connection, asked);
});
