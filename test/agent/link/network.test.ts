/** What changes of the network mean to the link, from texts as kernels write them. */
import t from 'tap';
import { reactionTo, viewNetwork } from '../../../agent/link/network.ts';

const routeHead =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                 \n';
const onLink = 'eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0    \n';
const byDefault = (gateway: string): string =>
  `eth0\t00000000\t${gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0    \n`;
const zeros = '0'.repeat(32);
const refused = `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo\n`;
const linkLocal = `fe800000000000000000000000000000 40 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001     eth0\n`;
const byDefault6 = (use: number): string =>
  `${zeros} 00 ${zeros} 00 fe800000000000000000000000000001 00000400 0000000${use} 0000000${use} 00000003     eth0\n`;
const inet6 = (flags: string): string => `fe80000000000000004c45fffe8c0001 02 40 20 ${flags}     eth0\n`;

const view = (route = '', ipv6Route = '', addresses: string[] = [], ifInet6 = '') =>
  viewNetwork({ addresses, route: route === '' ? '' : routeHead + route, ipv6Route, ifInet6 });

const nothing = view();
const cable = view(onLink, '', ['10.0.0.5']);
const routed = view(onLink + byDefault('0100000A'), '', ['10.0.0.5']);
const otherGateway = view(onLink + byDefault('FE00000A'), '', ['10.0.0.5']);

t.test('while the link is down, whatever was not there before is worth a try', async (t) => {
  const reaction = (before: ReturnType<typeof view>, after: ReturnType<typeof view>) =>
    reactionTo(before, after, false, null);
  t.equal(reaction(nothing, nothing), 'nothing');
  t.equal(reaction(nothing, cable), 'reconnect', 'an address on an interface with a carrier');
  t.equal(reaction(cable, routed), 'reconnect', 'a default route');
  t.equal(reaction(routed, otherGateway), 'reconnect', 'another gateway');
  t.equal(reaction(routed, cable), 'nothing', 'less than before helps nobody');
  t.equal(reaction(cable, nothing), 'nothing');
  const unsure = view('', linkLocal, ['fe80::1'], inet6('40'));
  t.equal(
    reaction(unsure, view('', linkLocal, ['fe80::1'], inet6('80'))),
    'reconnect',
    'an address is ready',
  );
  t.equal(reaction(nothing, view('', refused)), 'nothing', 'a route that refuses');
});

t.test('while it is up, it is looked after when its way or its address is another', async (t) => {
  const reaction = (before: ReturnType<typeof view>, after: ReturnType<typeof view>, address = '10.0.0.5') =>
    reactionTo(before, after, true, address);
  t.equal(reaction(cable, routed), 'probe');
  t.equal(reaction(routed, cable), 'probe');
  t.equal(reaction(routed, otherGateway), 'probe');
  t.equal(reaction(routed, routed), 'nothing');
  t.equal(reaction(cable, view(onLink, '', ['10.0.0.6'])), 'probe', 'its address is gone');
  t.equal(reaction(cable, view(onLink, '', ['10.0.0.5', '10.0.0.6'])), 'nothing', 'one more interface');
  t.equal(reaction(cable, nothing, '127.0.0.1'), 'nothing', 'a link on loopback');
  const before = view('', linkLocal + byDefault6(1));
  t.equal(reaction(before, view('', linkLocal + byDefault6(5))), 'nothing', 'counters of a route');
  t.equal(reaction(before, view('', linkLocal)), 'probe', 'the default route of IPv6');
});
