/** How each state looks: one character and one colour, the same in every picture, list and line. */
import type { JobState, Node, RunState } from '../resources.ts';
import { type Span, type Style, span } from './line.ts';

type Glyph = { readonly glyph: string; readonly style: Style };

const jobGlyphs = {
  waiting: { glyph: '·', style: 'dim' },
  ready: { glyph: '○', style: 'plain' },
  granted: { glyph: '◌', style: 'busy' },
  running: { glyph: '●', style: 'busy' },
  succeeded: { glyph: '✓', style: 'good' },
  failed: { glyph: '✗', style: 'bad' },
  skipped: { glyph: '–', style: 'dim' },
  cancelled: { glyph: '⊘', style: 'dim' },
  unknown: { glyph: '?', style: 'warn' },
  deferred: { glyph: '»', style: 'warn' },
  held: { glyph: '!', style: 'warn' },
} as const satisfies Record<JobState, Glyph>;

const runStyles = {
  queued: 'plain',
  running: 'busy',
  'waiting-for-approval': 'warn',
  paused: 'warn',
  held: 'warn',
  cancelling: 'warn',
  succeeded: 'good',
  'succeeded-with-deferred': 'good',
  failed: 'bad',
  cancelled: 'bad',
} as const satisfies Record<RunState, Style>;

const nodeStyles = {
  expected: 'dim',
  pending: 'warn',
  ready: 'good',
  busy: 'busy',
  unreachable: 'bad',
  cordoned: 'warn',
  maintenance: 'warn',
  quarantined: 'bad',
  retired: 'dim',
} as const satisfies Record<Node['state'], Style>;

export const jobStyle = (state: JobState): Style => jobGlyphs[state].style;

export const jobGlyph = (state: JobState): Span => span(jobGlyphs[state].glyph, jobGlyphs[state].style);

export const runStateSpan = (state: RunState): Span => span(state, runStyles[state]);
export const nodeStateSpan = (state: Node['state']): Span => span(state, nodeStyles[state]);
