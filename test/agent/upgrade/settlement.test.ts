/** Which program is the one to run, from what is on disk and who asks. */
import t from 'tap';
import { type Measure, measureFor } from '../../../agent/upgrade/settlement.ts';
import type { UpgradeDocument } from '../../../agent/upgrade/upgrade-store.ts';

const kept = { digest: 'sha256:k', version: '0.3.0', over: '0.2.0' };
const started = (starts: number) => ({ ...kept, unproved: { starts, offer: 7 } });
const trial = { offer: 1, digest: 'sha256:t', version: '0.4.0', healthyWithinMs: 1_000 };

type Case = readonly [
  what: string,
  document: Partial<UpgradeDocument>,
  version: string,
  handedOver: string | undefined,
  kind: Measure['kind'],
];

const cases: readonly Case[] = [
  ['nothing was ever kept', {}, '0.2.0', undefined, 'run'],
  ['the installed one hands over', { kept }, '0.2.0', undefined, 'hand-over'],
  ['the kept one runs', { kept }, '0.3.0', 'sha256:k', 'run'],
  ['another one was installed', { kept }, '0.5.0', undefined, 'drop'],
  ['the one before hands over to a newer one', { kept }, '0.2.5', 'sha256:before', 'hand-over'],
  ['the kept one was started as often as it may be', { kept: started(5) }, '0.2.0', undefined, 'abandon'],
  ['the kept one has still to prove itself', { kept: started(4) }, '0.2.0', undefined, 'hand-over'],
  ['the kept one runs for the last time', { kept: started(5) }, '0.3.0', 'sha256:k', 'run'],
  ['a trial waits', { trial: { ...trial, begun: false } }, '0.2.0', undefined, 'try'],
  ['a trial waits for the kept one', { kept, trial: { ...trial, begun: false } }, '0.3.0', 'sha256:k', 'try'],
  ['a trial came to nothing', { kept, trial: { ...trial, begun: true } }, '0.2.0', undefined, 'give-up'],
];

for (const [what, document, version, handedOver, kind] of cases) {
  const whole = { kept: null, trial: null, failed: [], ...document };
  t.equal(measureFor(whole, version, handedOver).kind, kind, what);
}
