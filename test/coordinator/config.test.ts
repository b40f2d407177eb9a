/** Flags and environment as one configuration; each wrong one is named. */
import t from 'tap';
import { readConfig } from '../../coordinator/config.ts';

t.test('where it listens', (t) => {
  const address = (listen?: string): string => {
    const { host, port } = readConfig({ data: '/d', ...(listen === undefined ? {} : { listen }) }, {});
    return `${host} ${port}`;
  };
  t.equal(address(), '127.0.0.1 7400', 'on this machine only, unless told otherwise');
  t.equal(address('0.0.0.0:80'), '0.0.0.0 80');
  t.equal(address('[::1]:0'), '::1 0');
  t.equal(address('[::]'), ':: 7400');
  t.equal(address(':9000'), ':: 9000');
  t.equal(address('9000'), '127.0.0.1 9000');
  t.equal(address('box.example:1'), 'box.example 1');
  for (const wrong of ['', ':', '1.2.3.4:99999', 'a:b', '::1:80', '[::1', 'http://x:1'])
    t.throws(() => address(wrong), { code: 'usage', message: /--listen/ }, JSON.stringify(wrong));
  t.end();
});

t.test('where it keeps things', (t) => {
  t.match(readConfig({ data: '/d/x' }, { LOCKSTEP_DATA: '/e' }), { dataFolder: '/d/x', keyFile: '/d/x.key' });
  t.equal(readConfig({}, { LOCKSTEP_DATA: '/e' }).dataFolder, '/e');
  t.match(readConfig({ data: '/d' }, {}), { programsFolder: '/d.programs', sendmail: '/usr/sbin/sendmail' });
  t.match(readConfig({ data: '/d', programs: '/p', sendmail: '/s' }, {}), {
    programsFolder: '/p',
    sendmail: '/s',
  });
  t.equal(readConfig({ data: '/d', key: '/k' }, {}).keyFile, '/k');
  t.match(readConfig({}, { XDG_STATE_HOME: '/s' }).dataFolder, /^(\/var\/lib|\/s)\/lockstep$/);
  t.end();
});

t.test('how long it keeps things', (t) => {
  const { retention } = readConfig(
    {
      data: '/d',
      keepEvents: '2d',
      keepEventBytes: '500MiB',
      keepAudit: '1h',
      keepLogs: '90m',
      keepLogBytes: '2g',
      keepRuns: '0',
    },
    {},
  );
  t.same(retention, {
    eventsMs: 2 * 86_400_000,
    eventsBytes: 500 * 1024 ** 2,
    auditMs: 3_600_000,
    logsMs: 5_400_000,
    logsBytes: 2 * 1024 ** 3,
    runs: 0,
  });
  t.throws(() => readConfig({ keepEvents: 'long' }, {}), { code: 'usage', message: /--keep-events long/ });
  t.throws(() => readConfig({ keepLogBytes: '0' }, {}), { code: 'usage', message: /--keep-log-bytes 0/ });
  t.throws(() => readConfig({ keepRuns: '-1' }, {}), { code: 'usage', message: /--keep-runs -1/ });
  t.end();
});
