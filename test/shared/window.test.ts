/** When windows are open: held against looking at every minute, and over the change of the clocks. */
import fc from 'fast-check';
import t from 'tap';
import { nextTime } from '../../shared/cron.ts';
import type { Window } from '../../shared/pipeline/model.ts';
import { openingAt } from '../../shared/window.ts';

const minute = 60_000;
const at = (time: string): number => Date.parse(time);
const shown = (window: Window, time: string): string => {
  const { open, until } = openingAt(window, at(time));
  return `${open ? 'open' : 'closed'} until ${until === null ? 'ever' : new Date(until).toISOString()}`;
};

t.test('a night in Prague', async (t) => {
  const window = { cron: '0 22 * * mon-fri', timezone: 'Europe/Prague', durationMs: 6 * 60 * minute };
  t.equal(shown(window, '2026-01-07T12:00:00Z'), 'closed until 2026-01-07T21:00:00.000Z');
  t.equal(shown(window, '2026-01-07T21:00:00Z'), 'open until 2026-01-08T03:00:00.000Z', 'it opens on time');
  t.equal(shown(window, '2026-01-08T02:59:59Z'), 'open until 2026-01-08T03:00:00.000Z');
  t.equal(
    shown(window, '2026-01-08T03:00:00Z'),
    'closed until 2026-01-08T21:00:00.000Z',
    'and closes on time',
  );
  t.equal(shown(window, '2026-01-10T12:00:00Z'), 'closed until 2026-01-12T21:00:00.000Z', 'over a weekend');
  t.equal(shown(window, '2026-07-07T12:00:00Z'), 'closed until 2026-07-07T20:00:00.000Z', 'in summer');
});

t.test('windows that touch are one', async (t) => {
  const window = { cron: '0 0,6 * * *', timezone: 'UTC', durationMs: 6 * 60 * minute };
  t.equal(shown(window, '2026-01-07T01:00:00Z'), 'open until 2026-01-07T12:00:00.000Z');
  const always = { cron: '0 * * * *', timezone: 'UTC', durationMs: 60 * minute };
  const { open, until } = openingAt(always, at('2026-01-07T01:30:00Z'));
  t.ok(
    open && until !== null && until > at('2026-01-09T00:00:00Z'),
    'and one that is always open is bounded',
  );
});

t.test('as looking at every minute says', async () => {
  const crons = ['0 2 * * *', '*/7 * * * *', '30 1,2,3 * * sun', '15 23 28 * *', '0 0 * * 1-3'];
  const zones = ['UTC', 'Europe/Prague', 'America/New_York', 'Australia/Lord_Howe'];
  fc.assert(
    fc.property(
      fc.constantFrom(...crons),
      fc.constantFrom(...zones),
      fc.integer({ min: 1, max: 600 }),
      // Around both changes of the clocks.
      fc.integer({ min: at('2026-03-20T00:00:00Z') / minute, max: at('2026-11-10T00:00:00Z') / minute }),
      (cron, timezone, minutes, now) => {
        const window = { cron, timezone, durationMs: minutes * minute };
        const time = now * minute;
        let isOpen = false;
        for (let start = nextTime(window, time - window.durationMs); start !== null && start <= time; ) {
          isOpen ||= time < start + window.durationMs;
          start = nextTime(window, start);
        }
        const { open, until } = openingAt(window, time);
        if (open !== isOpen || until === null || until <= time) return false;
        // At the end of what it says it is as it says.
        return openingAt(window, until - 1).open === open;
      },
    ),
    { numRuns: 80 },
  );
});
