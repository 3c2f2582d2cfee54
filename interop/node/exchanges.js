// amqplib: where messages go: alternates, headers, hashes, chance, history, delays, duplicates, copies.

import { bodies, connect, connected, exchange, Inbox, kept, needsType, own, ready, restarted, send } from './kit.js';
import { expect, unique, waitUntil } from './suite.js';

const numbers = (count, first = 0) => Array.from({ length: count }, (_, index) => String(first + index));

// An exchange of that type with a queue bound by each key.
async function spread(connection, channel, type, keys, exchangeArguments) {
  await needsType(connection, type, exchangeArguments);
  const source = await exchange(channel, type, exchangeArguments);
  const queues = [];
  for (const key of keys) {
    const queue = await own(channel);
    await channel.bindQueue(queue, source, key);
    queues.push(queue);
  }
  return [source, queues];
}

// Which queue each body is in; no body is in two.
async function where(channel, queues) {
  const place = new Map();
  for (const [index, queue] of queues.entries()) {
    for (const body of await bodies(channel, queue)) {
      if (place.has(body)) throw new Error(`${body} is in two queues`);
      place.set(body, index);
    }
  }
  return place;
}

connected('alternate-exchange-takes-what-nobody-wants', async (_, channel) => {
  const last = await exchange(channel, 'fanout');
  const first = await exchange(channel, 'direct', { 'alternate-exchange': last });
  const [wanted, rest] = [await own(channel), await own(channel)];
  await channel.bindQueue(wanted, first, 'a');
  await channel.bindQueue(rest, last, '');
  const returned = [];
  channel.on('return', ({ fields }) => returned.push([fields.exchange, fields.routingKey]));
  await send(channel, 'a', 'a', { to: first, mandatory: true });
  await send(channel, 'b', 'b', { to: first, mandatory: true });
  expect([await bodies(channel, wanted), await bodies(channel, rest), returned], [['a'], ['b'], []]);
  await channel.deleteQueue(rest);
  await send(channel, 'c', 'c', { to: first, mandatory: true });
  expect(returned, [[first, 'c']]);
});

connected('headers-all-any-and-with-x', async (_, channel) => {
  const source = await exchange(channel, 'headers');
  const queues = new Map();
  for (const match of ['all', 'any', 'all-with-x', 'any-with-x']) {
    queues.set(match, await own(channel));
    await channel.bindQueue(queues.get(match), source, '', { 'x-match': match, 'x-a': 1, b: 'two' });
  }
  const reached = async (headers) => {
    await send(channel, '', 'm', { to: source, headers });
    const names = [];
    for (const [match, queue] of queues) if ((await bodies(channel, queue)).length) names.push(match);
    return names;
  };
  expect(await reached({ 'x-a': 1, b: 'two' }), ['all', 'any', 'all-with-x', 'any-with-x']);
  expect(await reached({ b: 'two' }), ['all', 'any', 'any-with-x']);
  expect(await reached({ 'x-a': 1 }), ['any-with-x']);
  expect(await reached({ 'x-a': 2, b: 'three' }), []);
});

connected('consistent-hash-keeps-to-the-weights', async (connection, channel) => {
  const [source, queues] = await spread(connection, channel, 'x-consistent-hash', ['1', '3']);
  const publish = () => Promise.all(numbers(2000).map((number) => send(channel, number, number, { to: source })));
  await publish();
  const first = await where(channel, queues);
  const share = [...first.values()].filter((index) => index === 1).length / 2000;
  if (first.size !== 2000 || share < 0.68 || share > 0.82) throw new Error(`${first.size} arrived, ${share} at the heavier one`);
  await publish();
  expect(await where(channel, queues), first, 'the same place for the same key');
});

for (const [by, exchangeArguments, options] of [
  ['header', { 'hash-header': 'who' }, (who) => ({ headers: { who } })],
  ['property', { 'hash-property': 'message_id' }, (messageId) => ({ messageId })],
]) {
  connected(`consistent-hash-by-${by}`, async (connection, channel) => {
    const [source, queues] = await spread(connection, channel, 'x-consistent-hash', ['5', '5', '5'], exchangeArguments);
    await Promise.all(numbers(400).map((number) => send(channel, number, number, { to: source, ...options(`u${number % 40}`) })));
    const place = await where(channel, queues);
    expect([place.size, new Set(place.values()).size], [400, 3]);
    for (const number of numbers(400)) expect(place.get(number), place.get(String(number % 40)), 'the same for the same');
  });
}

connected('modulus-hash-keeps-a-key-together', async (connection, channel) => {
  const [source, queues] = await spread(connection, channel, 'x-modulus-hash', ['', 'a', 'b']);
  await Promise.all(numbers(400).map((number) => send(channel, `k${number % 50}`, number, { to: source })));
  const place = await where(channel, queues);
  expect([place.size, new Set(place.values()).size], [400, 3]);
  for (const number of numbers(400)) expect(place.get(number), place.get(String(number % 50)), 'the same for the same');
});

connected('random-gives-each-to-one', async (connection, channel) => {
  const [source, queues] = await spread(connection, channel, 'x-random', ['', 'any', 'key']);
  await send(channel, 'constant', numbers(600), { to: source });
  const place = [...(await where(channel, queues)).values()];
  const counts = [0, 1, 2].map((index) => place.filter((at) => at === index).length);
  if (place.length !== 600 || Math.min(...counts) < 120) throw new Error(`spread as ${counts}`);
});

connected('recent-history-is-told-to-who-comes-late', async (connection, channel) => {
  const [source, [early]] = await spread(connection, channel, 'x-recent-history', [''], { 'x-recent-history-length': 3 });
  await send(channel, 'k', numbers(5), { to: source });
  await send(channel, 'k', 'secret', { to: source, headers: { 'x-recent-history-no-store': true } });
  expect(await bodies(channel, early), [...numbers(5), 'secret']);
  const late = await own(channel);
  await channel.bindQueue(late, source, '');
  expect(await (await Inbox.at(connection, late)).texts(3), ['2', '3', '4']);
});

connected('delayed-messages-come-in-the-order-of-their-times', async (connection, channel) => {
  const [source, [queue]] = await spread(connection, channel, 'x-delayed-message', ['k'], { 'x-delayed-type': 'direct' });
  const inbox = await Inbox.at(connection, queue);
  const began = Date.now();
  for (const delay of [300, 100, 200]) await send(channel, 'k', String(delay), { to: source, headers: { 'x-delay': delay } });
  await send(channel, 'k', 'now', { to: source });
  expect(await inbox.texts(4), ['now', '100', '200', '300']);
  if (Date.now() - began < 290) throw new Error(`the last came after ${Date.now() - began} ms`);
});

connected('duplicates-do-not-pass-the-exchange', async (connection, channel) => {
  const [source, [queue]] = await spread(connection, channel, 'x-message-deduplication', [''], { 'x-cache-size': 10, 'x-cache-ttl': 200 });
  const passes = async (name) => {
    expect(await send(channel, '', 'm', { to: source, headers: { 'x-deduplication-header': name } }), [true], 'confirmed');
    return (await bodies(channel, queue)).length;
  };
  expect([await passes('a'), await passes('b'), await passes('a')], [1, 1, 0]);
  await waitUntil(async () => (await passes('a')) === 1, 'forgotten');
});

connected('duplicates-do-not-stand-in-a-queue-twice', async (connection, channel) => {
  await needsType(connection, 'x-message-deduplication', { 'x-cache-size': 1 });
  const queue = await own(channel, { 'x-message-deduplication': true });
  const publish = (body) => send(channel, queue, body, { headers: { 'x-deduplication-header': 'same' } });
  await publish('1');
  await publish('2');
  await send(channel, queue, '3');
  const held = await channel.get(queue);
  channel.ack(held);
  await publish('4');
  expect([held.content.toString(), await bodies(channel, queue)], ['1', ['3', '4']]);
});

connected('carbon-copies-go-to-each-once-and-blind-ones-are-not-told', async (_, channel) => {
  const [to, copied, blind] = [await own(channel), await own(channel), await own(channel)];
  await send(channel, to, 'm', { CC: [copied, to], BCC: [blind], headers: { mine: 1 } });
  for (const queue of [to, copied, blind]) {
    const message = await channel.get(queue, { noAck: true });
    expect([message.fields.routingKey, message.properties.headers], [to, { CC: [copied, to], mine: 1 }]);
    expect(await ready(channel, queue), 0, 'once');
  }
});

connected('delayed-and-remembered-survive-a-kill', async (before, channel) => {
  const [delayed, window] = [{ 'x-delayed-type': 'direct' }, { 'x-cache-size': 100 }];
  await needsType(before, 'x-delayed-message', delayed);
  await needsType(before, 'x-message-deduplication', window);
  const [later, seen] = [unique('x'), unique('x')];
  await channel.assertExchange(later, 'x-delayed-message', { durable: true, arguments: delayed });
  await channel.assertExchange(seen, 'x-message-deduplication', { durable: true, arguments: window });
  await kept(before, {}, async (queue) => {
    await channel.bindQueue(queue, later, 'late');
    await channel.bindQueue(queue, seen, '');
    const once = { to: seen, persistent: true, headers: { 'x-deduplication-header': 'a' } };
    await send(channel, 'late', 'due', { to: later, persistent: true, headers: { 'x-delay': 2000 } });
    await send(channel, '', 'once', once);
    await restarted(before);
    const after = await connect();
    const fresh = await after.createConfirmChannel();
    await send(fresh, '', 'twice', once);
    expect(await (await Inbox.at(after, queue)).texts(2), ['once', 'due']);
    await fresh.deleteExchange(later);
    await fresh.deleteExchange(seen);
    await after.close();
  });
}, { alone: true });
