// amqplib against the table of refusals: bad arguments and properties get RabbitMQ's codes and texts.

import { connect, needsType, refusal } from './kit.js';
import { refusals, test, unique } from './suite.js';

// The table's names, and what amqplib calls them.
const declare = (channel, name, { durable = false, exclusive = false, auto_delete: autoDelete = false, arguments: own }) => (
  channel.assertQueue(name, { durable, exclusive, autoDelete, arguments: own }));

const properties = ({ user_id: userId, delivery_mode: deliveryMode, ...rest }) => ({ userId, deliveryMode, ...rest });

// Each takes (channel, name, what the table says).
const verbs = {
  queue: declare,
  again: async (channel, name, [first, second]) => {
    await declare(channel, name, first);
    await declare(channel, name, second);
  },
  exchange: (channel, name, what) => channel.assertExchange(name, what.type, { durable: false, arguments: what.arguments }),
  bind: async (channel, name, what) => {
    await verbs.exchange(channel, name, what.exchange);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, name, what.key, what.arguments);
  },
  publish: async (channel, name, what) => {
    await declare(channel, name, { exclusive: true });
    channel.publish('', name, Buffer.from('m'), properties(what));
  },
  consume: async (channel, name, what) => {
    await declare(channel, name, what.queue);
    if (what.prefetch) await channel.prefetch(what.prefetch);
    await channel.consume(name, () => {}, { noAck: what.no_ack, exclusive: what.exclusive, arguments: what.arguments });
  },
  get: async (channel, name, what) => {
    await declare(channel, name, what);
    await channel.get(name);
  },
  purge: async (channel, name, what) => {
    await declare(channel, name, what);
    await channel.purgeQueue(name);
  },
};

function fits([code, text], [wantedCode, wantedText], name) {
  const wanted = wantedText.replaceAll('{name}', name);
  return code === wantedCode && (text === wanted || (wanted.endsWith('*') && text.startsWith(wanted.slice(0, -1))));
}

for (const [row, { verb, what, answers }] of refusals) {
  test(`refused-${row}`, async () => {
    const connection = await connect();
    try {
      const type = verb === 'exchange' ? what : verb === 'bind' ? what.exchange : { type: '' };
      if (type.type.startsWith('x-')) await needsType(connection, type.type, type.arguments);
      const name = unique('r');
      const said = await refusal((channel) => verbs[verb](channel, name, what));
      const cleaner = await connection.createChannel();
      await cleaner.deleteQueue(name);
      await cleaner.deleteExchange(name);
      if (!answers.some((answer) => fits(said, answer, name))) {
        throw new Error(`got ${said[0]} '${said[1]}', wanted ${answers.map((answer) => answer.join(' ')).join(' or ')}`);
      }
    } finally {
      await connection.close().catch(() => {});
    }
  });
}
