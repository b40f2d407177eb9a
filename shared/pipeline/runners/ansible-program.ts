/**
 * The Python program that a step with `ansible` comes to. It makes the inventory and the variables from what the job
 * was given, runs ansible-playbook in the folder of the playbook, and has a callback plugin tell of each task on each
 * host. What Ansible prints is passed on as it comes. It must do with Python 3.8 and Ansible 2.12.
 *
 * Strings in what is generated are marked `!unsafe`: braces in a label or a value are no template to Ansible.
 */

/** Written to a file of its own, beside those callbacks that the project or the node has. */
const callbackPlugin = String.raw`
import json, os, time
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'lockstep_parts'

    def __init__(self, *args, **kwargs):
        super(CallbackModule, self).__init__(*args, **kwargs)
        self.play, self.plays, self.unmatched, self.began, self.parts = '', 0, 0, {}, []

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name().strip()
        self.plays += 1

    def v2_playbook_on_no_hosts_matched(self):
        self.unmatched += 1

    def v2_runner_on_start(self, host, task):
        self.began[host.get_name(), task._uuid] = time.time()

    def v2_runner_on_ok(self, result):
        self.add(result, 'changed' if result._result.get('changed') else 'ok')

    def v2_runner_on_skipped(self, result):
        self.add(result, 'skipped')

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.add(result, 'ignored' if ignore_errors else 'failed', why(result._result))

    def v2_runner_on_unreachable(self, result):
        self.add(result, 'unreachable', why(result._result))

    def add(self, result, state, message=''):
        host = result._host.get_name()
        began = self.began.pop((host, result._task._uuid), None)
        part = {'name': result._task.get_name().strip(), 'host': host, 'state': state}
        if self.play: part['within'] = self.play
        if message: part['message'] = message
        if began: part['durationMs'] = max(0, int((time.time() - began) * 1000))
        self.parts.append(part)
        self.write('a', [part])

    def write(self, mode, parts):
        with open(os.environ.get('LOCKSTEP_PARTS', os.devnull), mode) as file:
            file.writelines(json.dumps(part) + '\n' for part in parts)

    def v2_playbook_on_stats(self, stats):
        # What failed and was answered by a rescue came before what failed for good.
        rescued = dict(getattr(stats, 'rescued', {}))
        for part in self.parts:
            if part['state'] == 'failed' and rescued.get(part['host'], 0) > 0:
                rescued[part['host']] -= 1
                part['state'] = 'rescued'
        order = {'failed': 0, 'unreachable': 0, 'changed': 1, 'rescued': 1, 'ignored': 1}
        if len(self.parts) > 2000:
            kept = sorted(range(len(self.parts)), key=lambda at: (order.get(self.parts[at]['state'], 2), at))[:2000]
            self.write('w', [self.parts[at] for at in sorted(kept)])
        else:
            self.write('w', self.parts)
        with open(os.environ['LOCKSTEP_ANSIBLE_SUMMARY'], 'w') as file:
            states = [part['state'] for part in self.parts]
            json.dump({'forNobody': 0 < self.plays == self.unmatched, 'changed': states.count('changed'),
                       'broken': states.count('failed') + states.count('unreachable')}, file)


def why(result):
    if 'censored' in result: return 'not shown, because the task says no_log'
    items = [item for item in result.get('results') or [] if isinstance(item, dict) and item.get('failed')]
    if items: return '; '.join('%s: %s' % (item.get('item'), why(item)) for item in items[:3])
    message = str(result.get('msg') or 'failed')
    error = str(result.get('stderr') or result.get('module_stderr') or '').strip()
    return message + (': ' + error.splitlines()[-1] if error else '')
`;

/** After `settings`, which stand before it as JSON. */
const main = String.raw`
place = os.path.join(os.path.dirname(os.path.abspath(os.environ['LOCKSTEP_OUTPUT'])), 'ansible')
os.makedirs(os.path.join(place, 'callback'), mode=0o700)

def write(name, text):
    path = os.path.join(place, name)
    with open(path, 'w', encoding='utf-8') as file: file.write(text)
    return path

def quoted(text):
    def escaped(char):
        code = ord(char)
        if 32 <= code < 127 and char not in '"\\': return char
        return '\\x%02x' % code if code < 256 else '\\u%04x' % code if code < 65536 else '\\U%08x' % code
    return '"' + ''.join(map(escaped, text)) + '"'

def unsafe(value):
    if isinstance(value, str): return '!unsafe ' + quoted(value)
    if isinstance(value, float): return '!!float "%r"' % value
    if isinstance(value, list): return '[' + ', '.join(map(unsafe, value)) + ']'
    if isinstance(value, dict):
        return '{' + ', '.join('? %s : %s' % (quoted(key), unsafe(each)) for key, each in value.items()) + '}'
    return json.dumps(value)

def told(part):
    with open(os.environ.get('LOCKSTEP_PARTS', os.devnull), 'a') as file: file.write(json.dumps(part) + '\n')

with open(os.environ['LOCKSTEP_PARAMS'], encoding='utf-8') as file: values = json.load(file)
given = values.pop('lockstep_ansible')
command = ['ansible-playbook']
if settings.get('vaultPassword'):
    command += ['--vault-password-file', write('vault', str(values.pop(settings['vaultPassword'], '')) + '\n')]
names = given['names']
hosts = [{'name': name, 'labels': labels} for name, labels in zip(names, given['labels'])]
for host, address in zip(hosts, given['addresses']): host['address'] = address

def lines():
    yield 'all:'
    yield '  vars: ' + unsafe({name: value for name, value in values.items() if name not in given['given']})
    yield '  hosts:'
    for host in hosts:
        yield '    %s:' % quoted(host['name'])
        address = host.get('address') or host['name']
        if host['name'] == os.environ['LOCKSTEP_NODE']: yield '      ansible_connection: local'
        # An address that looks like an option is not handed to ssh.
        elif not address.startswith('-'): yield '      ansible_host: ' + unsafe(address)
        yield '      lockstep: ' + unsafe(host)
    known = set(names)
    groups = {name: [] if role is False else names if role is True else [each for each in role if each in known]
              for name, role in given['groups'].items()}
    groups.update({name: names for name in settings.get('groups', [])})
    filled = [(name, members) for name, members in groups.items() if members and name not in ('all', 'ungrouped')]
    if filled: yield '  children:'
    for name, members in filled:
        yield '    %s: { hosts: { %s } }' % (name, ', '.join('? %s : {}' % quoted(each) for each in members))

os.chdir(settings['folder'])
for each in settings.get('inventory', []): command += ['--inventory', each]
command += ['--inventory', write('lockstep.yml', '\n'.join(lines()) + '\n')]
if settings.get('inventory'): command += ['--limit', '@' + write('limit', '\n'.join(names) + '\n')]
extra = {name: value for name, value in values.items() if name in given['given']}
if extra: command += ['--extra-vars', '@' + write('variables.yml', unsafe(extra) + '\n')]
if settings.get('tags'): command += ['--tags', ','.join(settings['tags'])]
if settings.get('skipTags'): command += ['--skip-tags', ','.join(settings['skipTags'])]
if preview: command += ['--check', '--diff']
command += settings.get('arguments', []) + [settings['playbook']]

write('callback/lockstep_parts.py', callback)
config = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
try: config.read('ansible.cfg')
except configparser.Error: pass
plugins = os.environ.get('ANSIBLE_CALLBACK_PLUGINS') or config.get('defaults', 'callback_plugins', fallback=None)
plugins = plugins or '~/.ansible/plugins/callback:/usr/share/ansible/plugins/callback'
summary = os.path.join(place, 'summary')
environment = dict(os.environ, PYTHONUNBUFFERED='1', ANSIBLE_NOCOLOR='1', ANSIBLE_NOCOWS='1',
    ANSIBLE_RETRY_FILES_ENABLED='0', LOCKSTEP_ANSIBLE_SUMMARY=summary,
    ANSIBLE_CALLBACK_PLUGINS=os.path.join(place, 'callback') + ':' + plugins)
# A socket has a short path, and ssh leaves its connections open behind it: they end with the job.
sockets = tempfile.mkdtemp(prefix='lockstep-')
environment.setdefault('ANSIBLE_SSH_CONTROL_PATH_DIR', sockets)
print('ansible: ' + ' '.join(shlex.quote(word) for word in command), flush=True)
try: playbook = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
except FileNotFoundError:
    sys.exit('ansible-playbook is not on this node: install Ansible (on Debian: apt-get install ansible)')
errors = []
for line in playbook.stderr:
    sys.stderr.buffer.write(line)
    sys.stderr.flush()
    word = line.decode('utf-8', 'replace').strip()
    if errors or word.startswith(('ERROR!', '[ERROR]')): errors.append(word)
status = playbook.wait()
if status < 0: status = 128 - status
for name in os.listdir(sockets):
    subprocess.call(['ssh', '-o', 'ControlPath=' + os.path.join(sockets, name), '-O', 'exit', 'any'], stderr=subprocess.DEVNULL)
shutil.rmtree(sockets, ignore_errors=True)
try:
    with open(summary) as file: came = json.load(file)
except FileNotFoundError: came = {'forNobody': False, 'changed': 0, 'broken': 0}
problem = None
if status != 0 and came['broken'] == 0: problem = ' '.join(errors[:4]) or 'ansible-playbook ended with %d' % status
elif status == 0 and came['forNobody']:
    status = 3
    problem = 'none of its plays is for a host of this step: their groups are the roles of the pipeline and those in "groups"'
if problem:
    told({'name': settings['playbook'], 'state': 'failed', 'message': problem})
    if status == 3: print('ansible: ' + problem, file=sys.stderr)
if preview and status == 0: sys.exit(1 if came['changed'] else 0)
sys.exit(5 if preview and status == 1 else status)
`;

export type AnsibleSettings = {
  /** Relative to the working folder, as the others are to it. */
  readonly folder: string;
  readonly playbook: string;
  readonly inventory?: readonly string[];
  readonly groups?: readonly string[];
  readonly tags?: readonly string[];
  readonly skipTags?: readonly string[];
  readonly vaultPassword?: string;
  readonly arguments?: readonly string[];
};

/** The text of a JSON string is one in Python too. */
const pythonText = (value: unknown): string => JSON.stringify(value);

export const ansibleProgram = (settings: AnsibleSettings, preview: boolean): string =>
  [
    'import configparser, json, os, shlex, shutil, subprocess, sys, tempfile',
    `settings = json.loads(${pythonText(JSON.stringify(settings))})`,
    `preview = ${preview ? 'True' : 'False'}`,
    `callback = ${pythonText(callbackPlugin)}`,
    main,
  ].join('\n');
