// A real browser: pages with MQTT.js, stompjs and amqp-client.js that talk to each other and to a pika
// worker. Started as: node main.js PYTHON CHROMIUM, with pika in the one and headless the other.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { expect, runAll, test, unique, url } from '../node/suite.js';

const [python, executablePath] = process.argv.slice(2);
const ws = `ws://${new URL(process.env.INTEROP_WS).host}`;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const files = {
  '/': ['text/html', 'page.html'],
  '/mqtt.min.js': ['text/javascript', 'node_modules/mqtt/dist/mqtt.min.js'],
  '/stomp.umd.min.js': ['text/javascript', 'node_modules/@stomp/stompjs/bundles/stomp.umd.min.js'],
  '/amqp-websocket-client.mjs': ['text/javascript', 'node_modules/@cloudamqp/amqp-client/dist/amqp-websocket-client.mjs'],
};

const server = createServer((request, response) => {
  const [type, path] = files[new URL(request.url, 'http://x').pathname] ?? [];
  response.writeHead(path ? 200 : 404, { 'content-type': type ?? 'text/plain' });
  response.end(path ? readFileSync(here(path)) : '');
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const home = `http://127.0.0.1:${server.address().port}/`;

const worker = spawn(python, ['-B', here('worker.py'), url], { stdio: ['ignore', 'pipe', 'inherit'] });
await once(worker.stdout, 'data');
// Chromium refuses to wall itself off as root.
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
process.on('exit', () => {
  worker.kill();
  browser.process?.()?.kill();
});

// A case that runs in a page of its own; what it gives back must be `wanted`.
function inPage(name, wanted, run, ...given) {
  test(name, async () => {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(home);
      await page.waitForFunction(() => window.loaded);
      expect(await page.evaluate(run, { ws, id: unique('page').split('.').pop(), given }), wanted);
    } finally {
      await context.close();
    }
  });
}

for (const version of [4, 5]) {
  inPage(`mqtt.js, protocol ${version}, asks a pika worker`, [['answer', 'HOW ARE YOU?']], async ({ ws: to, id, given }) => {
    const { client, got } = await window.byMqtt(`${to}/mqtt`, given[0]);
    await client.subscribeAsync(`browser/answer/${id}`, { qos: 1 });
    await client.publishAsync(`browser/ask/${id}`, 'how are you?', { qos: 1 });
    await window.until(() => got.length === 1);
    await client.endAsync();
    return got.map(([topic, text]) => [topic.split('/')[1], text]);
  }, version);
}

inPage('amqp-client.js asks a pika worker', ['HOW ARE YOU?'], async ({ ws: to, id }) => {
  const { client, channel, name, got } = await window.byAmqp(`${to}/amqp`);
  await channel.basicPublish('amq.topic', `browser.ask.${id}`, 'how are you?', { replyTo: name });
  await window.until(() => got.length === 1);
  await client.close();
  return got.map(([, text]) => text);
});

inPage('stompjs asks a pika worker', ['HOW ARE YOU?'], async ({ ws: to, id }) => {
  const { client, got } = await window.byStomp(`${to}/stomp`, `/topic/browser.answer.${id}`);
  client.publish({ destination: `/topic/browser.ask.${id}`, body: 'how are you?' });
  await window.until(() => got.length === 1);
  await client.deactivate();
  return got.map(([, body]) => body);
});

const said = ['by AMQP', 'by MQTT', 'by STOMP'];
inPage('mqtt.js, stompjs and amqp-client.js chat', [said, said, said], async ({ ws: to, id }) => {
  const all = await Promise.all([window.byMqtt(`${to}/ws`, 5), window.byAmqp(`${to}/ws`), window.byStomp(`${to}/ws`, `/topic/chat.${id}`)]);
  const [one, two, three] = all;
  await one.client.subscribeAsync(`chat/${id}`, { qos: 1 });
  await two.channel.queueBind(two.name, 'amq.topic', `chat.${id}`);
  await one.client.publishAsync(`chat/${id}`, 'by MQTT', { qos: 1 });
  await two.channel.basicPublish('amq.topic', `chat.${id}`, 'by AMQP');
  three.client.publish({ destination: `/topic/chat.${id}`, body: 'by STOMP' });
  await window.until(() => all.every(({ got }) => got.length === 3));
  await Promise.all([one.client.endAsync(), two.client.close(), three.client.deactivate()]);
  return all.map(({ got }) => got.map(([, text]) => text).sort());
});

inPage('a MiB through a page and a worker', [1 << 20, true], async ({ ws: to, id }) => {
  const { client, got } = await window.byMqtt(`${to}/mqtt`, 5);
  await client.subscribeAsync(`browser/answer/${id}`, { qos: 1 });
  await client.publishAsync(`browser/ask/${id}`, 'lockgate'.repeat(1 << 17), { qos: 1 });
  await window.until(() => got.length === 1);
  await client.endAsync();
  return [got[0][1].length, got[0][1] === 'LOCKGATE'.repeat(1 << 17)];
});

inPage('what a page is told of its socket', ['mqtt', '', 1002, true], ({ ws: to }) => {
  const socket = new WebSocket(`${to}/mqtt`, ['wamp', 'mqtt']);
  return new Promise((resolve) => {
    socket.onopen = () => socket.send(new Uint8Array([0xf0, 0]));
    socket.onclose = ({ code, wasClean }) => resolve([socket.protocol, socket.extensions, code, wasClean]);
  });
});

inPage('text where bytes are spoken', [1003, true], ({ ws: to }) => {
  const socket = new WebSocket(`${to}/mqtt`, 'mqtt');
  return new Promise((resolve) => {
    socket.onopen = () => socket.send('hello');
    socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]);
  });
});

inPage('a page that closes is answered', [4000, true], ({ ws: to }) => {
  const socket = new WebSocket(`${to}/amqp`);
  return new Promise((resolve) => {
    socket.onopen = () => socket.close(4000, 'enough');
    socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]);
  });
});

runAll(3);
