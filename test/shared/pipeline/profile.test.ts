/** Profile files: what they say, and what is said of what is wrong in them. */
import t from 'tap';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { parseProfile } from '../../../shared/pipeline/profile.ts';

const head = 'kind: profile\nname: berlin\n';

const findings = (text: string): readonly string[] => {
  const parsed = parseProfile('p.yaml', `${head}${text}`);
  return parsed.ok ? [] : parsed.diagnostics.map(formatDiagnostic);
};

t.test('what it says', (t) => {
  t.same(
    parseProfile(
      'p.yaml',
      `${head}priority: 10
where: { platform: [metal, aws], site: berlin, role: member, labels: { rack: a } }
params: { mirror: 'http://m', size: 3, list: [1] }
secrets: { token: { env: TOKEN }, key: { file: ./key } }
`,
    ),
    {
      ok: true,
      profile: {
        name: 'berlin',
        priority: 10,
        where: { labels: { rack: ['a'], platform: ['metal', 'aws'], site: ['berlin'] }, roles: ['member'] },
        params: { mirror: 'http://m', size: 3, list: [1] },
        secrets: { token: { env: 'TOKEN' }, key: { file: './key' } },
      },
    },
  );
  t.match(parseProfile('p.yaml', `${head}params: { a: 1 }\n`), {
    profile: { priority: 0, where: { labels: {}, roles: null } },
  });
  t.end();
});

t.test('what is wrong', (t) => {
  const cases: readonly (readonly [string, string | RegExp])[] = [
    [
      'params: { a: 1 }\npriorty: 3\n',
      'p.yaml:4:1: error: the file has no "priorty" (did you mean "priority"?)',
    ],
    [
      'params: { a: 1 }\nwhere: { sites: b }\n',
      'p.yaml:4:10: error: "where" has no "sites" (did you mean "site"?)',
    ],
    ['where: { site: b }\n', 'p.yaml:1:1: error: profile berlin gives no param (expected params or secrets)'],
    [
      'params: { a: 1 }\nsecrets: { a: { env: A } }\n',
      'p.yaml:4:12: error: a stands among the params already',
    ],
    ['secrets: { a: { env: A, file: ./a } }\n', /^p.yaml:3:15: error: a secret is taken from one place/],
    [
      'params: { a: 1 }\nwhere: { site: b, labels: { site: c } }\n',
      /^p.yaml:4:29: error: "site" is said above already/,
    ],
    ['params: { constructor: 1 }\n', /is reserved/],
  ];
  for (const [text, wanted] of cases) {
    const found = findings(text);
    t.equal(found.length, 1, text);
    t.match(found[0] ?? '', wanted, text);
  }
  t.end();
});
