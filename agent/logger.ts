/** The agent's own log on stdout: plain lines for a person at a terminal, JSON for whoever collects it. */
import { type Logger, pino } from 'pino';

export function makeLogger(stdout: NodeJS.WriteStream): Logger {
  const options = { base: null, level: 'info', timestamp: pino.stdTimeFunctions.isoTime };
  // No transport: those are worker threads that load files by name, which a single-file binary cannot.
  if (!stdout.isTTY) return pino(options, pino.destination({ dest: 1, sync: true }));
  return pino(options, { write: (line: string) => void stdout.write(plainLine(line)) });
}

const words: Readonly<Record<number, string>> = { 40: 'warning: ', 50: 'error: ', 60: 'fatal: ' };

export function plainLine(line: string): string {
  const { time, level, msg }: { time: string; level: number; msg: string } = JSON.parse(line);
  return `${time.slice(11, 19)} ${words[level] ?? ''}${msg}\n`;
}
