// What the Node suite shares: running cases, unique names, the table of misuse, the restart hook.
// Prints one line per case as interop/run expects it; knows no client library.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual, inspect, promisify } from 'node:util';

export const url = process.env.INTEROP_URL;
const deadline = 20_000;
const cases = [];

export class Skip extends Error {}

export function test(name, run) {
  cases.push([name, run]);
}

export async function runAll() {
  for (const [name, run] of cases) {
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

export function checkMisuse(name, object, code, text) {
  const wanted = misuse.get(name).map(([c, t]) => [c, t.replaceAll('{name}', object)]);
  if (!wanted.some((one) => isDeepStrictEqual(one, [code, text]))) {
    throw new Error(`got ${code} '${text}', wanted ${inspect(wanted)}`);
  }
}
