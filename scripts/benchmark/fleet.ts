/** The processes in which simulated agents live, as the benchmark sees them. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { type FleetOrder, type FleetReport, fleetReport, type Measured } from './fleet-messages.ts';
import { cpuOf } from './process-usage.ts';
import { mergeSteps, sumOf } from './statistics.ts';

const joinMsMax = 120_000;
const answerMsMax = 30_000;
const backMsMax = 180_000;

type Expected<Kind extends FleetReport['kind']> = Extract<FleetReport, { kind: Kind }>;

/** One process. What it says is taken in order; whoever waits for something hears of a failure at once. */
class FleetProcess {
  readonly pid: number;
  acknowledged = 0;
  readonly #child: ChildProcess;
  #failure: Error | undefined;
  readonly #listeners = new Set<(report: FleetReport | Error) => void>();

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'fleet-worker.ts'), { execArgv: [] });
    this.pid = this.#child.pid ?? 0;
    this.#child.on('message', (message) => {
      const report = fleetReport.parse(message);
      if (report.kind === 'progress') this.acknowledged = report.acknowledged;
      if (report.kind === 'broken') this.#fail(new Error(`the simulated agents broke: ${report.reason}`));
      else this.#tell(report);
    });
    this.#child.on('error', (error) => this.#fail(error));
    this.#child.on('exit', (code, signal) =>
      this.#fail(new Error(`a process of simulated agents ended (${code ?? signal})`)),
    );
  }

  order(order: FleetOrder): void {
    this.#child.send(order);
  }

  checkIntact(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async hear<Kind extends FleetReport['kind']>(kind: Kind, withinMs: number): Promise<Expected<Kind>> {
    this.checkIntact();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(listen);
        settle();
      };
      const listen = (report: FleetReport | Error) => {
        if (report instanceof Error) finish(() => reject(report));
        else if (isOf(report, kind)) finish(() => resolve(report));
      };
      const timer = setTimeout(
        () => finish(() => reject(new Error(`simulated agents: no "${kind}" within ${withinMs} ms`))),
        withinMs,
      );
      this.#listeners.add(listen);
    });
  }

  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#tell(error);
  }

  #tell(report: FleetReport | Error): void {
    for (const listener of [...this.#listeners]) listener(report);
  }
}

function isOf<Kind extends FleetReport['kind']>(report: FleetReport, kind: Kind): report is Expected<Kind> {
  return report.kind === kind;
}

export class Fleet {
  readonly #processes: readonly FleetProcess[];
  #agents = 0;

  constructor(processes: number) {
    this.#processes = Array.from({ length: processes }, () => new FleetProcess());
  }

  get agents(): number {
    return this.#agents;
  }

  get cpuMs(): number {
    return sumOf(this.#processes.map(({ pid }) => cpuOf(pid).own));
  }

  /** Until there are so many agents. */
  async grow(place: { readonly url: string; readonly token: string }, agents: number): Promise<void> {
    const shares = sharesOf(agents - this.#agents, this.#processes.length);
    await Promise.all(
      this.#processes.map(async (process, index) => {
        const first = this.#agents + sumOf(shares.slice(0, index));
        const joined = process.hear('joined', joinMsMax);
        process.order({ kind: 'join', url: place.url, token: place.token, first, count: shares[index] ?? 0 });
        await joined;
      }),
    );
    this.#agents = agents;
  }

  /** Says that the coordinator goes; resolves with the time when the last agent was welcomed again. */
  async comeBack(): Promise<number> {
    const reports = await Promise.all(
      this.#processes.map((process) => {
        const back = process.hear('back', backMsMax);
        process.order({ kind: 'come-back' });
        return back;
      }),
    );
    return Math.max(...reports.map(({ at }) => at));
  }

  /** From now on. */
  measure(jobMsMax: number): void {
    for (const process of this.#processes) {
      process.acknowledged = 0;
      process.order({ kind: 'measure', jobMsMax });
    }
  }

  get acknowledged(): number {
    for (const process of this.#processes) process.checkIntact();
    return sumOf(this.#processes.map(({ acknowledged }) => acknowledged));
  }

  async report(): Promise<Measured> {
    const reports = await Promise.all(
      this.#processes.map((process) => {
        const measured = process.hear('measured', answerMsMax);
        process.order({ kind: 'report' });
        return measured;
      }),
    );
    const firsts = reports.map(({ firstGrantAt }) => firstGrantAt).filter((at) => at !== null);
    const lasts = reports.map(({ lastAcknowledgedAt }) => lastAcknowledgedAt).filter((at) => at !== null);
    return {
      kind: 'measured',
      acknowledged: sumOf(reports.map(({ acknowledged }) => acknowledged)),
      firstGrantAt: firsts.length === 0 ? null : Math.min(...firsts),
      lastAcknowledgedAt: lasts.length === 0 ? null : Math.max(...lasts),
      steps: mergeSteps(reports.map(({ steps }) => steps)),
    };
  }

  /** Frames to and fro on bare connections; `connected` is called while they are still idle. */
  async echo(url: string, connections: number, frame: string, forMs: number, connected: () => void) {
    const shares = sharesOf(connections, this.#processes.length).filter((share) => share > 0);
    const echoing = this.#processes.slice(0, shares.length).map((process, index) => {
      const order = { kind: 'echo', url, connections: shares[index] ?? 1, frame, forMs } as const;
      const answers = {
        connected: process.hear('connected', joinMsMax),
        echoed: process.hear('echoed', joinMsMax + forMs),
      };
      process.order(order);
      return answers;
    });
    await Promise.all(echoing.map((answers) => answers.connected));
    connected();
    const reports = await Promise.all(echoing.map((answers) => answers.echoed));
    for (const process of this.#processes) process.order({ kind: 'hang-up' });
    return {
      frames: sumOf(reports.map(({ frames }) => frames)),
      roundTripMs: reports.flatMap(({ roundTripMs }) => roundTripMs),
    };
  }

  end(): void {
    for (const process of this.#processes) process.end();
  }
}

/** As equal as whole numbers can be. */
export const sharesOf = (total: number, parts: number): number[] =>
  Array.from({ length: parts }, (_, index) => Math.floor((total + index) / parts));
