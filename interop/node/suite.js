// What the Node suites share: running cases, unique names, the tables, the restart hook.
// Prints one line per case as interop/run expects it; knows no client library.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual, inspect, promisify } from 'node:util';

// A broker may speak one of them only.
export const url = process.env.INTEROP_URL;
export const mqttUrl = process.env.INTEROP_MQTT;
const deadline = 20_000;
const cases = [];

export class Skip extends Error {}

// A case; one that kills the broker must run alone.
export function test(name, run, { alone = false } = {}) {
  cases.push({ name, run, alone });
}

async function judge({ name, run }) {
  let timer;
  try {
    await Promise.race([
      run(),
      new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('not within 60 s')), 60_000); }),
    ]);
    console.log(`ok ${name}`);
  } catch (trouble) {
    const text = String(trouble?.message ?? trouble).replace(/\s+/g, ' ');
    console.log(trouble instanceof Skip ? `skip ${name}: ${text}` : `FAIL ${name}: ${text}`);
    if (!(trouble instanceof Skip)) console.log(trouble?.stack);
  } finally {
    clearTimeout(timer);
  }
}

// Runs every case in its order, that many at once, and then those that must be alone.
export async function runAll(atOnce = 1) {
  const waiting = cases.filter(({ alone }) => !alone);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await judge(next);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  for (const one of cases.filter(({ alone }) => alone)) await judge(one);
  console.log(`done ${cases.length}`);
  process.exit(0);
}

export function unique(kind = 'q') {
  return `interop.${kind}.${randomBytes(5).toString('hex')}`;
}

export function expect(actual, wanted, what = '') {
  if (!isDeepStrictEqual(actual, wanted)) {
    throw new Error(`${what}: got ${inspect(actual, { depth: 5 })}, wanted ${inspect(wanted, { depth: 5 })}`);
  }
}

export async function waitUntil(ready, what) {
  const end = Date.now() + deadline;
  for (;;) {
    const result = await ready();
    if (result) return result;
    if (Date.now() > end) throw new Error(`${what}: not within ${deadline} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function restartBroker() {
  if (!process.env.INTEROP_RESTART) throw new Skip('no INTEROP_RESTART');
  await promisify(execFile)(process.env.INTEROP_RESTART, { timeout: 120_000 });
}

export const misuse = new Map();
for (const line of readFileSync(process.env.INTEROP_MISUSE, 'utf8').split('\n')) {
  if (line === '' || line.startsWith('#')) continue;
  const [name, code, text] = line.split('\t');
  misuse.set(name, [...(misuse.get(name) ?? []), [Number(code), text]]);
}

export const refusals = new Map();
for (const line of readFileSync(process.env.INTEROP_REFUSALS, 'utf8').split('\n')) {
  if (line === '' || line.startsWith('#')) continue;
  const [name, verb, what, code, text] = line.split('\t');
  const row = refusals.get(name) ?? { verb, what: JSON.parse(what), answers: [] };
  row.answers.push([Number(code), text]);
  refusals.set(name, row);
}

export function checkMisuse(name, object, code, text) {
  const wanted = misuse.get(name).map(([c, t]) => [c, t.replaceAll('{name}', object)]);
  if (!wanted.some((one) => isDeepStrictEqual(one, [code, text]))) {
    throw new Error(`got ${code} '${text}', wanted ${inspect(wanted)}`);
  }
}
