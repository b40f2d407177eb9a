/** The ground of all end-to-end tests: hosts that are apart, can be cut off and rebooted, and leave nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Host, hostsUnavailable, Lab, projectRoot } from './hosts.ts';
import { eventually } from './processes.ts';

const unavailable = hostsUnavailable();
const node = join(projectRoot, 'node_modules/.bin/node');
const greeter = `require('node:net').createServer((socket) => socket.end('hello\\n'))
  .listen(7000, () => console.log('listening'))`;
const greet = (from: Host, to: Host) =>
  from.exec(['timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${to.name}/7000 && cat <&3`]);
const startOfInit = (host: Host) => host.run(['sh', '-c', 'cut -d" " -f22 /proc/1/stat']);
/** The machine's processes that live in one of the given network namespaces. */
const processesIn = (namespaces: readonly string[]): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && namespaces.includes(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      return false;
    }
  });
const networkOf = (pid: number): string => readlinkSync(`/proc/${pid}/ns/net`);
const machineNetwork = () => readFileSync('/proc/net/dev', 'utf8').replace(/:.*$/gm, '');
const machineMounts = () => readFileSync('/proc/self/mountinfo', 'utf8');

t.test('hosts', { skip: unavailable ?? false }, async (t) => {
  const before = { network: machineNetwork(), mounts: machineMounts() };
  const lab = await Lab.start();
  t.teardown(() => lab.dispose());
  const n1 = await lab.addHost('n1', { rack: 'r1' });
  const n2 = await lab.addHost('n2', { rack: 'r2' });
  const networks = [lab.pid, n1.pid, n2.pid].map(networkOf);

  await t.test('each is a machine of its own', async (t) => {
    t.strictSame(n2.labels, { rack: 'r2' });
    t.equal(await n1.run(['hostname']), 'n1\n');
    t.equal(await n2.run(['hostname']), 'n2\n');
    t.not(await n1.run(['cat', '/etc/machine-id']), await n2.run(['cat', '/etc/machine-id']));
    t.match(await n1.run(['sh', '-c', 'echo here >/var/lib/mark; cat /proc/1/comm']), 'host-init.sh');
    t.equal((await n2.exec(['cat', '/var/lib/mark'])).status, 1, 'n2 does not see what n1 wrote');
    t.notOk(existsSync('/var/lib/mark'), 'and neither does the machine');
    t.not(
      (await n1.exec(['touch', join(projectRoot, 'mark')])).status,
      0,
      'the source tree cannot be changed',
    );
    await n1.run(['sh', '-c', 'echo from n1 >>/shared/log']);
    await n2.run(['sh', '-c', 'echo from n2 >>/shared/log']);
    t.equal(await lab.readShared('log'), 'from n1\nfrom n2\n', 'one folder is shared by all');
  });

  await t.test('commands get input and environment, and end in time', async (t) => {
    t.equal(await n1.run(['sh', '-c', 'cat; echo "$A"'], { input: 'in\n', env: { A: 'b' } }), 'in\nb\n');
    t.strictSame(await n1.exec(['sh', '-c', 'echo out; echo err >&2; exit 7']), {
      status: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    await t.rejects(
      n1.exec(['sh', '-c', 'sleep 60; true'], { timeoutMs: 200 }),
      /has not ended within 200 ms/,
    );
    await t.rejects(n1.run(['false']), /n1: false ended with 1/);
  });

  await t.test('they find each other by name until the link is cut', async (t) => {
    const server = n2.spawn([node, '-e', greeter]);
    await server.printed(/listening/);
    t.equal((await greet(n1, n2)).stdout, 'hello\n');
    await n2.setLink('down');
    t.not((await greet(n1, n2)).status, 0);
    t.equal(
      (await n2.exec(['cat', '/sys/class/net/eth0/carrier'])).stdout,
      '0\n',
      'n2 sees that its cable is out',
    );
    await n2.setLink('up');
    t.equal((await greet(n1, n2)).stdout, 'hello\n');
    await server.end('SIGTERM');
    t.not((await greet(n1, n2)).status, 0, 'the process itself is gone');
  });

  await t.test('a reboot ends everything but what is on the disk', async (t) => {
    const sleeper = n1.spawn(['sleep', '600']);
    await n1.run(['sh', '-c', 'echo kept >/var/lib/mark; echo lost | tee /tmp/mark >/run/mark']);
    const start = await startOfInit(n1);
    await n1.reboot();
    t.not(await startOfInit(n1), start, 'PID 1 is another one');
    await eventually(
      'the end of the process',
      async () => sleeper.child.signalCode ?? sleeper.child.exitCode ?? undefined,
    );
    t.notMatch(await n1.run(['cat', '/proc/1/task/1/children']), '600');
    t.equal(await n1.run(['cat', '/var/lib/mark']), 'kept\n');
    t.not((await n1.exec(['cat', '/tmp/mark'])).status, 0);
    t.not((await n1.exec(['cat', '/run/mark'])).status, 0);
    const server = n1.spawn([node, '-e', greeter]);
    await server.printed(/listening/);
    t.equal((await greet(n2, n1)).stdout, 'hello\n', 'its network is back');
  });

  await t.test('all is gone at the end', async (t) => {
    networks.push(networkOf(n1.pid));
    t.ok(processesIn(networks).length >= 3);
    await lab.dispose();
    t.strictSame(processesIn(networks), []);
    t.strictSame({ network: machineNetwork(), mounts: machineMounts() }, before);
  });
});

t.test('all is gone when the test itself is killed', { skip: unavailable ?? false }, async (t) => {
  const program = `
    import { Lab } from '${join(import.meta.dirname, 'hosts.ts')}';
    const lab = await Lab.start();
    const host = await lab.addHost('n1');
    host.spawn(['sleep', '600']);
    console.log(lab.pid, host.pid);
    setInterval(() => {}, 1000);`;
  const test = spawn(node, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => test.kill('SIGKILL'));
  const [pids] = await once(test.stdout.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(20_000) });
  const networks = String(pids).trim().split(' ').map(Number).map(networkOf);
  t.ok(processesIn(networks).length >= 2);
  test.kill('SIGKILL');
  await eventually('the end of the lab', async () => (processesIn(networks).length === 0 ? true : undefined));
  t.pass('nothing is left');
});
