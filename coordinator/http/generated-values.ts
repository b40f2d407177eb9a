/** Random values for params that are generated. The core keeps one per cluster and pipeline and ignores later ones. */
import type { ParamDeclaration, Pipeline } from '../../shared/pipeline/model.ts';

/** Without letters that look alike, and none that a shell or a URL would take for something else. */
const passwordLetters = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';

export function generateValues(
  pipeline: Pipeline,
  random: (bytes: number) => string,
): Record<string, string> {
  const generated: Record<string, string> = {};
  for (const [name, { generate }] of Object.entries(pipeline.params))
    if (generate !== undefined) generated[name] = generateValue(generate, random);
  return generated;
}

function generateValue(
  generate: NonNullable<ParamDeclaration['generate']>,
  random: (bytes: number) => string,
): string {
  if ('hex' in generate) return random(generate.hex);
  if ('uuid' in generate) return uuidOf(random(16));
  return password(generate.password, random);
}

/** Each letter equally likely: bytes beyond the last whole round of the alphabet are thrown away. */
function password(length: number, random: (bytes: number) => string): string {
  const usable = 256 - (256 % passwordLetters.length);
  let letters = '';
  while (letters.length < length) {
    for (const byte of Buffer.from(random(length), 'hex')) {
      if (byte < usable && letters.length < length) letters += passwordLetters[byte % passwordLetters.length];
    }
  }
  return letters;
}

/** Version 4 of RFC 9562. */
function uuidOf(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    variant + hex.slice(18, 20),
    hex.slice(20, 32),
  ].join('-');
}
