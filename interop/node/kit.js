// What the amqplib cases share: connections that do not leak, inboxes, refusals, what a peer has not got.

import amqp from 'amqplib';
import { expect, restartBroker, Skip, test, unique, url, waitUntil } from './suite.js';

export async function connect() {
  const connection = await amqp.connect(url);
  connection.on('error', () => {});
  return connection;
}

// A case that gets a connection and a confirming channel and cannot leak them.
export function connected(name, run, options) {
  test(name, async () => {
    const connection = await connect();
    try {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => {});
      await run(connection, channel);
    } finally {
      await connection.close().catch(() => {});
    }
  }, options);
}

// A queue with these arguments that goes with its connection.
export async function own(channel, queueArguments = {}, name = unique()) {
  await channel.assertQueue(name, { exclusive: true, durable: false, arguments: queueArguments });
  return name;
}

// A durable queue with these arguments, deleted when run is over.
export async function kept(connection, queueArguments, run) {
  const name = unique();
  const channel = await connection.createChannel();
  await channel.assertQueue(name, { durable: true, arguments: queueArguments });
  await channel.close();
  try {
    await run(name);
  } finally {
    const cleaner = await connect();
    await (await cleaner.createChannel()).deleteQueue(name);
    await cleaner.close();
  }
}

// An exchange of that type that goes with its last binding.
export async function exchange(channel, type, exchangeArguments = {}) {
  const name = unique('x');
  await channel.assertExchange(name, type, { durable: false, autoDelete: true, arguments: exchangeArguments });
  return name;
}

// Publishes texts and waits until the broker has said what it thinks of each: true if it took it.
export function send(channel, target, bodies, { to = '', ...options } = {}) {
  return Promise.all([bodies].flat().map((body) => new Promise((resolve) => {
    channel.publish(to, target, Buffer.from(body), options, (refused) => resolve(!refused));
  })));
}

export async function bodies(channel, queue) {
  const got = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) return got;
    got.push(message.content.toString());
  }
}

export const ready = async (channel, queue) => (await channel.checkQueue(queue)).messageCount;

// A consumer on a channel of its own that keeps what comes.
export class Inbox {
  got = [];
  cancelled = false;

  static async at(connection, queue, { noAck = true, prefetch = 0, ...options } = {}) {
    const inbox = new Inbox();
    inbox.queue = queue;
    inbox.channel = await connection.createChannel();
    inbox.channel.on('error', () => {});
    if (prefetch) await inbox.channel.prefetch(prefetch);
    const { consumerTag } = await inbox.channel.consume(queue, (message) => {
      if (message) inbox.got.push(message);
      else inbox.cancelled = true;
    }, { noAck, ...options });
    inbox.tag = consumerTag;
    return inbox;
  }

  async wait(count) {
    await waitUntil(() => this.got.length >= count, `${count} deliveries`);
    expect(this.got.length, count, 'deliveries');
    return this.got;
  }

  async texts(count) {
    return (await this.wait(count)).map((message) => message.content.toString());
  }
}

// A queue with these arguments, and the inbox of its dead letters.
export async function letterBox(connection, channel, queueArguments = {}) {
  const grave = await own(channel);
  const queue = await own(channel, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': grave, ...queueArguments });
  return [queue, await Inbox.at(connection, grave)];
}

// Ends a connection as a killed client does: the socket goes without a word.
export function drop(connection) {
  connection.connection.stream.destroy();
}

// Kills the broker and starts it again; that connection is then gone.
export async function restarted(connection) {
  const closed = new Promise((resolve) => { connection.on('close', resolve); });
  await restartBroker();
  await closed;
}

// What a fresh channel, or its connection, is closed with by act(channel): code and text.
export async function refusal(act) {
  const connection = await amqp.connect(url);
  let said;
  const heard = (error) => {
    const [, code, text] = /(\d{3}) \([A-Z-]+\) with message "(.*)"$/s.exec(error.message) ?? [];
    if (code) said ??= [Number(code), text];
  };
  connection.on('error', heard);
  try {
    const channel = await connection.createChannel();
    channel.on('error', heard);
    await act(channel);
    await channel.prefetch(0);
  } catch (trouble) {
    heard(trouble);
    if (!said && !/closed/i.test(trouble.message)) throw trouble;
  } finally {
    await connection.close().catch(() => {});
  }
  if (!said) throw new Error('the broker did not mind');
  return said;
}

// Above every version of RabbitMQ.
export const any = '999.0';

// Whether the peer is a RabbitMQ before that version; a case must not ask more of it than it had.
export function olderThan(connection, version) {
  const { platform, version: has } = connection.connection.serverProperties;
  if (!platform.startsWith('Erlang')) return false;
  const [mine, wanted] = [has, version].map((text) => text.split('.').slice(0, 2).map(Number));
  return mine[0] < wanted[0] || (mine[0] === wanted[0] && mine[1] < wanted[1]);
}

export function needs(connection, version, what) {
  if (olderThan(connection, version)) throw new Skip(`${what}: not in RabbitMQ before ${version}`);
}

// No version of RabbitMQ does this.
export function beyondRabbitmq(connection, what) {
  if (olderThan(connection, any)) throw new Skip(`${what}: no RabbitMQ does it`);
}

// Skips a case at a RabbitMQ without the plugin for this type of exchange.
export async function needsType(connection, type, exchangeArguments = {}) {
  if (!olderThan(connection, any)) return;
  const said = await refusal((channel) => exchange(channel, type, exchangeArguments)).catch(() => [0, '']);
  if (said[1].endsWith(`unknown exchange type '${type}'`)) throw new Skip(`${type}: its plugin is not enabled`);
}
