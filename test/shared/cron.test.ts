import t from 'tap';
import { faultOfCron, nextTime } from '../../shared/cron.ts';

const after = (cron: string, timezone: string, time: string): string | null => {
  const next = nextTime({ cron, timezone }, Date.parse(time));
  return next === null ? null : new Date(next).toISOString();
};

t.test('the next time', async (t) => {
  t.equal(after('0 2 * * *', 'UTC', '2026-03-01T01:59:59Z'), '2026-03-01T02:00:00.000Z');
  t.equal(after('0 2 * * *', 'UTC', '2026-03-01T02:00:00Z'), '2026-03-02T02:00:00.000Z', 'after, not at');
  t.equal(after('0 2 * * *', 'Europe/Berlin', '2026-01-10T00:00:00Z'), '2026-01-10T01:00:00.000Z', 'winter');
  t.equal(after('0 2 * * *', 'Europe/Berlin', '2026-07-10T12:00:00Z'), '2026-07-11T00:00:00.000Z', 'summer');
  t.equal(
    after('30 2 * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z'),
    '2026-03-29T01:00:00.000Z',
    'an hour that is not there: when it is over',
  );
  t.equal(after('30 22 * * 5', 'UTC', '2026-11-26T00:00:00Z'), '2026-11-27T22:30:00.000Z', 'Friday');
  t.equal(after('@daily', 'UTC', '2026-11-26T12:00:00Z'), '2026-11-27T00:00:00.000Z');
});

t.test('what is no time', async (t) => {
  t.equal(faultOfCron({ cron: '0 2 * * 1-5', timezone: 'Europe/Berlin' }), undefined);
  t.match(faultOfCron({ cron: '0 2 * * *', timezone: 'Europe/Berln' }), /"Europe\/Berln" is not a time zone/);
  t.match(faultOfCron({ cron: '0 2 * *', timezone: 'UTC' }), /five fields/);
  t.match(faultOfCron({ cron: '* 0 2 * * *', timezone: 'UTC' }), /five fields/, 'seconds are not for this');
  t.match(faultOfCron({ cron: '0 25 * * *', timezone: 'UTC' }), /"0 25 \* \* \*" is not a time: /);
  t.match(faultOfCron({ cron: '0 0 31 2 *', timezone: 'UTC' }), /never comes/);
});
