/** The coordinator's own log on stdout: plain lines for a person at a terminal, JSON for whatever collects it. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export function createLog(output: NodeJS.WriteStream): Logger {
  const level = process.env.LOCKSTEP_LOG_LEVEL ?? 'info';
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return output.isTTY ? pino(options, plainLines(output)) : pino(options, output);
}

/** pino's own pretty printer runs in a worker that cannot be bundled. */
function plainLines(output: NodeJS.WriteStream): DestinationStream {
  return {
    write(text) {
      const { level, time, msg, err, ...details } = JSON.parse(text);
      const rest = Object.entries(details).map(([key, value]) => ` ${key}=${shown(value)}`);
      const label = pino.levels.labels[level] ?? String(level);
      const mark = label === 'info' ? '' : `${label}: `;
      output.write(`${String(time).slice(11, 19)} ${mark}${msg ?? ''}${rest.join('')}\n`);
      if (err?.stack !== undefined) output.write(`${err.stack}\n`);
    },
  };
}

const shown = (value: unknown): string =>
  typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
