/** What a pipeline does differently from the one that it extends, as a list of all steps with signs before them. */
import type { ChangedKey, ComparedStep, Variation } from '../../../shared/pipeline/variation.ts';
import { harmless, type Line, line, type Style, span } from './line.ts';

const signs: Readonly<Record<ComparedStep['change'], readonly [string, Style]>> = {
  same: [' ', 'plain'],
  inserted: ['+', 'good'],
  replaced: ['~', 'warn'],
  removed: ['-', 'bad'],
};

export function drawVariation(head: string, { params, roles, steps }: Variation): Line[] {
  const lines: Line[] = [line(head, 'strong')];
  for (const [title, changed] of [
    ['params', params],
    ['roles', roles],
  ] as const) {
    if (changed.length > 0) lines.push(line(title));
    for (const { name, change, place, keys } of changed) {
      const added = change === 'added';
      const [sign, style] = signs[added ? 'inserted' : 'replaced'];
      lines.push([span(`${sign} ${name}`, style), span(`  ${place}`, 'dim')], ...keys.flatMap(keyLines(2)));
    }
  }
  for (const atEnd of [false, true]) {
    const part = steps.filter((step) => step.finally === atEnd);
    if (part.length > 0) lines.push(line(atEnd ? 'finally' : 'steps'));
    lines.push(...part.flatMap(stepLines));
  }
  return lines;
}

function stepLines({ step, group, change, place, keys }: ComparedStep): Line[] {
  const [sign, style] = signs[change];
  const inset = group === null ? '' : '  ';
  const own: Line = [
    span(`${sign} ${inset}${step}`, style),
    ...(change === 'same' ? [] : [span(`  ${place}`, 'dim')]),
  ];
  return [own, ...keys.flatMap(keyLines(2 + inset.length))];
}

const keyLines =
  (inset: number) =>
  ({ key, ...values }: ChangedKey): Line[] => {
    const side = (sign: string, value: unknown, style: Style): Line[] =>
      textOf(value).map((text, index) =>
        line(`${' '.repeat(inset)}${sign} ${index === 0 ? `${key}: ` : '  '}${harmless(text)}`, style),
      );
    return [
      ...('from' in values ? side('-', values.from, 'bad') : []),
      ...('to' in values ? side('+', values.to, 'good') : []),
    ];
  };

/** Texts as they are, line by line; anything else in one line. */
function textOf(value: unknown): readonly string[] {
  if (typeof value !== 'string') return [JSON.stringify(value)];
  const lines = value.trimEnd().split('\n');
  return lines.length === 1 ? lines : ['|', ...lines];
}
