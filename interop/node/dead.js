// amqplib: dead letters: why, where to, what they say of their deaths, and that they come back counted.

import { bodies, connected, exchange, Inbox, kept, letterBox, needs, olderThan, own, ready, send } from './kit.js';
import { expect, unique, waitUntil } from './suite.js';

// x-death without its times.
export function deaths({ properties }) {
  return properties.headers['x-death'].map(({ time, ...death }) => {
    if (time?.['!'] !== 'timestamp') throw new Error(`time is ${JSON.stringify(time)}`);
    return death;
  });
}

export const death = (count, reason, queue, more = {}) => (
  { count, reason, queue, exchange: '', 'routing-keys': [queue], ...more });

async function discard(channel, queue) {
  channel.reject(await channel.get(queue), false);
}

connected('letter-of-the-rejected', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel);
  await send(channel, queue, 'm', { headers: { mine: 1 }, messageId: '7', persistent: true });
  await discard(channel, queue);
  const [letter] = await letters.wait(1);
  const { 'x-death': _, ...headers } = letter.properties.headers;
  const first = { 'x-first-death-reason': 'rejected', 'x-first-death-queue': queue, 'x-first-death-exchange': '' };
  const last = { 'x-last-death-reason': 'rejected', 'x-last-death-queue': queue, 'x-last-death-exchange': '' };
  expect(headers, { mine: 1, ...first, ...(olderThan(connection, '3.13') ? {} : last) });
  expect(deaths(letter), [death(1, 'rejected', queue)]);
  expect([letter.fields.exchange, letter.fields.routingKey, letter.fields.redelivered], ['', letters.queue, false]);
  expect([letter.content.toString(), letter.properties.messageId], ['m', '7']);
});

connected('letter-of-the-expired', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel, { 'x-message-ttl': 50 });
  await send(channel, queue, 'by the queue');
  expect(deaths((await letters.wait(1))[0]), [death(1, 'expired', queue)]);
  await send(channel, queue, 'by itself', { expiration: 20 });
  const letter = (await letters.wait(2))[1];
  expect(deaths(letter), [death(1, 'expired', queue, { 'original-expiration': '20' })]);
  expect(letter.properties.expiration, undefined);
});

connected('letter-of-the-dropped', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel, { 'x-max-length': 1 });
  await send(channel, queue, ['1', '2', '3']);
  expect(await letters.texts(2), ['1', '2']);
  expect(deaths(letters.got[1]), [death(1, 'maxlen', queue)]);
  expect(await bodies(channel, queue), ['3']);
});

connected('letter-says-where-it-had-come-from', async (connection, channel) => {
  const [source, grave] = [await exchange(channel, 'topic'), await exchange(channel, 'topic')];
  const [queue, box] = [await own(channel, { 'x-dead-letter-exchange': grave }), await own(channel)];
  await channel.bindQueue(queue, source, 'a.#');
  await channel.bindQueue(box, grave, 'a.b');
  const letters = await Inbox.at(connection, box);
  await send(channel, 'a.b', 'm', { to: source, CC: ['a.c'], BCC: ['a.d'] });
  await discard(channel, queue);
  const [letter] = await letters.wait(1);
  expect(deaths(letter), [death(1, 'rejected', queue, { exchange: source, 'routing-keys': ['a.b', 'a.c'] })]);
  expect([letter.fields.exchange, letter.fields.routingKey], [grave, 'a.b']);
});

connected('last-death-is-told', async (connection, channel) => {
  needs(connection, '3.13', 'x-last-death-*');
  const [second, letters] = await letterBox(connection, channel, { 'x-message-ttl': 20 });
  const first = await own(channel, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': second });
  await send(channel, first, 'm');
  await discard(channel, first);
  const [letter] = await letters.wait(1);
  expect(deaths(letter), [death(1, 'expired', second), death(1, 'rejected', first)]);
  const { headers } = letter.properties;
  expect([headers['x-first-death-queue'], headers['x-last-death-reason'], headers['x-last-death-queue']], [first, 'expired', second]);
});

connected('retry-by-a-waiting-queue-counts-up', async (connection, channel) => {
  const [work, wait] = [unique('work'), unique('wait')];
  await own(channel, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': wait }, work);
  await own(channel, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': work, 'x-message-ttl': 30 }, wait);
  const worker = await Inbox.at(connection, work, { noAck: false });
  await send(channel, work, 'job');
  for (let attempt = 1; attempt < 4; attempt += 1) {
    const letter = (await worker.wait(attempt)).at(-1);
    if (attempt > 1) expect(deaths(letter), [death(attempt - 1, 'expired', wait), death(attempt - 1, 'rejected', work)]);
    worker.channel.nack(letter, false, false);
  }
  worker.channel.ack((await worker.wait(4)).at(-1));
  expect([await ready(channel, work), await ready(channel, wait)], [0, 0]);
});

connected('circle-without-a-rejection-is-cut', async (connection, channel) => {
  const around = await exchange(channel, 'fanout');
  const [first, second] = [unique(), unique()];
  await own(channel, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': second, 'x-message-ttl': 20 }, first);
  await own(channel, { 'x-dead-letter-exchange': around, 'x-message-ttl': 20 }, second);
  const witness = await Inbox.at(connection, await own(channel));
  await channel.bindQueue(first, around, '');
  await channel.bindQueue(witness.queue, around, '');
  await send(channel, first, 'm');
  expect(deaths((await witness.wait(1))[0]), [death(1, 'expired', second), death(1, 'expired', first)]);
  await send(channel, first, 'n');
  expect(await witness.texts(2), ['m', 'n']);
  expect([await ready(channel, first), await ready(channel, second)], [0, 0]);
});

connected('letters-at-least-once', async (connection, channel) => {
  await kept(connection, { 'x-queue-type': 'quorum' }, (grave) => kept(connection, {
    'x-queue-type': 'quorum', 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': grave,
    'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish', 'x-message-ttl': 100,
  }, async (queue) => {
    const wanted = Array.from({ length: 20 }, (_, number) => String(number));
    await send(channel, queue, wanted, { persistent: true });
    const letters = await Inbox.at(connection, grave, { noAck: true });
    expect(await letters.texts(20), wanted);
    expect(deaths(letters.got[0]), [death(1, 'expired', queue)]);
    await waitUntil(async () => (await ready(channel, queue)) === 0, 'the originals gone');
  }));
});

connected('max-length-drops-the-oldest', async (_, channel) => {
  const queue = await own(channel, { 'x-max-length': 3 });
  await send(channel, queue, ['1', '2', '3', '4', '5']);
  expect(await bodies(channel, queue), ['3', '4', '5']);
});

connected('max-length-bytes-drops-the-oldest', async (_, channel) => {
  const queue = await own(channel, { 'x-max-length-bytes': 1000 });
  await send(channel, queue, ['a'.repeat(400), 'b'.repeat(400), 'c'.repeat(200)], { headers: { long: 'h'.repeat(2000) } });
  expect(await ready(channel, queue), 3, 'bodies of just that many bytes');
  await send(channel, queue, 'd');
  expect((await bodies(channel, queue)).map((body) => body[0]), ['b', 'c', 'd']);
});

connected('reject-publish-tells-the-publisher', async (_, channel) => {
  const queue = await own(channel, { 'x-max-length': 2, 'x-overflow': 'reject-publish' });
  const taken = [];
  for (const body of ['1', '2', '3']) taken.push(...await send(channel, queue, body));
  expect(taken, [true, true, false]);
  expect(await bodies(channel, queue), ['1', '2']);
  expect(await send(channel, queue, '4'), [true], 'there is room again');
});

connected('reject-publish-dlx-sends-the-refused-away', async (connection, channel) => {
  const [queue, letters] = await letterBox(connection, channel, { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx' });
  expect([await send(channel, queue, '1'), await send(channel, queue, '2')], [[true], [false]]);
  const [letter] = await letters.wait(1);
  expect([letter.content.toString(), deaths(letter)], ['2', [death(1, 'maxlen', queue)]]);
});
