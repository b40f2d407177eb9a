/**
 * P12: what an older agent said and heard on the wire, recorded with the programs of its time, is said again to
 * the coordinator of today. It must be understood, and answered in words that the older agent understands; those
 * are judged by its own schemas, which are kept beside the recording and never change.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { WebSocket } from 'ws';
import * as z from 'zod';
import { run } from '../../coordinator/http/resources.ts';
import { TestCoordinator } from '../coordinator/coordinator-in-process.ts';
import { heardBy010 } from './protocol-1/schemas.ts';

const recorded = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, 'protocol-1', name), 'utf8');

const frame = z.array(z.looseObject({ type: z.string() }));
const waitMsMax = 15_000;

/** Everything that an older agent would have taken out of a frame, or the reason why it would have hung up. */
function understood(text: string): readonly unknown[] {
  return frame.parse(JSON.parse(text)).flatMap((message) => {
    const schema = heardBy010.get(message.type);
    return schema === undefined ? [] : [schema.parse(message)];
  });
}

/** What differs between two coordinators, and words for people. */
const variable: ReadonlySet<string> = new Set(['lineage', 'nonce', 'reason']);
const comparable = (message: unknown): unknown =>
  JSON.parse(JSON.stringify(message, (key, value) => (variable.has(key) ? '' : value)));

class Replay {
  readonly #url: string;
  readonly #token: string;
  #socket: WebSocket | undefined;
  #heard: unknown[] = [];
  #fault: unknown;

  constructor(url: string, token: string) {
    this.#url = `${url.replace(/^http/, 'ws')}/agent`;
    this.#token = token;
  }

  async #connected(): Promise<WebSocket> {
    if (this.#socket !== undefined) return this.#socket;
    const socket = new WebSocket(this.#url, { headers: { authorization: `Bearer ${this.#token}` } });
    this.#socket = socket;
    socket.on('message', (content) => {
      try {
        this.#heard.push(...understood(content.toString()).map(comparable));
      } catch (error) {
        this.#fault = error;
      }
    });
    await once(socket, 'open');
    return socket;
  }

  async say(text: string): Promise<void> {
    (await this.#connected()).send(text);
  }

  /** Waits until each message of a recorded frame has come. */
  async hear(text: string): Promise<void> {
    await this.#connected();
    for (const expected of understood(text).map(comparable)) {
      const until = performance.now() + waitMsMax;
      for (;;) {
        if (this.#fault !== undefined) throw this.#fault;
        const at = this.#heard.findIndex((message) => isDeepStrictEqual(message, expected));
        if (at !== -1) {
          this.#heard.splice(at, 1);
          break;
        }
        if (performance.now() > until)
          throw new Error(`never came: ${JSON.stringify(expected)}; came ${JSON.stringify(this.#heard)}`);
        await delay(10);
      }
    }
  }

  async leave(): Promise<void> {
    const socket = await this.#connected();
    socket.terminate();
    await once(socket, 'close');
    this.#socket = undefined;
  }

  /** What came and was not part of the recording. */
  get more(): readonly unknown[] {
    return this.#heard;
  }
}

t.test('an agent of protocol 1, version 0.1.0, joins, works, returns and is cancelled', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const replay = new Replay(coordinator.url, await coordinator.joinToken());
  for (const line of recorded('transcript.txt').trimEnd().split('\n')) {
    const [, who, what = ''] = /^(\S+) (.*)$/.exec(line) ?? [];
    const [, verb, name] = /^(\S+) (\S+)$/.exec(what) ?? [];
    if (what === 'leaves') await replay.leave();
    else if (who === 'agent') await replay.say(what);
    else if (who === 'coordinator') await replay.hear(what);
    else if (verb === 'runs') {
      const file = `${name}.yaml`;
      t.equal((await coordinator.ask('POST', '/api/runs', { file, text: recorded(file) })).status, 201);
    } else t.equal((await coordinator.ask('POST', `/api/runs/${name}/cancel`, {})).status, 200);
  }
  t.same(replay.more, []);
  const work = await coordinator.get(run, '/api/runs/r1');
  t.equal(work.state, 'succeeded');
  t.match(
    work.jobs?.find(({ step }) => step === 'measure'),
    { outputs: { size: 3 }, exitCode: 0 },
  );
  t.equal((await coordinator.get(run, '/api/runs/r2')).state, 'cancelled');
  t.match((await coordinator.ask('GET', '/api/runs/r1/logs?step=measure')).text, /measuring/);
});
