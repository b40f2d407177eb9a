/** `ansible: site.yml`: a playbook with all that it is made of, carried out by ansible-playbook on the node. */
import type { Report } from '../report.ts';
import { asList } from '../roles.ts';
import type { AnsibleFile } from '../runner-language.ts';
import { type Compiled, cleanPath, type FileSet, type FileStat, isInside } from '../scripts.ts';
import type { Path } from '../source.ts';
import { type AnsibleSettings, ansibleProgram } from './ansible-program.ts';
import { folderOf } from './places.ts';

/** What Ansible looks for by name beside a playbook: of a playbook that lies beside the pipeline only these come along. */
const byName = [
  'ansible.cfg',
  'roles',
  'group_vars',
  'host_vars',
  'inventory',
  'inventories',
  'vars',
  'tasks',
  'handlers',
  'templates',
  'files',
  'defaults',
  'meta',
  'playbooks',
  'collections',
  'library',
  'module_utils',
  'action_plugins',
  'callback_plugins',
  'connection_plugins',
  'filter_plugins',
  'lookup_plugins',
  'strategy_plugins',
  'test_plugins',
  'vars_plugins',
];

/** Histories and leftovers of other tools, which no playbook reads. */
const leftOut = /(^|\/)(\.git|\.svn|\.hg|\.vagrant|__pycache__)\/|\.retry$/;

export function compileAnsible(
  file: AnsibleFile,
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Compiled | undefined {
  const said = typeof file === 'string' ? { playbook: file } : file;
  const at = (key: keyof typeof said | 'inventory' | 'folder'): Path =>
    typeof file === 'string' ? path : [...path, key];
  const playbook = cleanPath(said.playbook);
  const inFolder = 'folder' in said && said.folder !== undefined;
  const folder = inFolder ? cleanPath(said.folder ?? '') : playbook.split('/').slice(0, -1).join('/');
  const inside = inFolder || folder === '' ? playbook : playbook.slice(folder.length + 1);
  const files = new Map<string, FileStat>();
  if (folder === '') addByName(beside, files);
  else if (!addWhole(folder, inFolder ? at('folder') : at('playbook'), beside, files, report))
    return undefined;
  const place = folder === '' ? inside : `${folder}/${inside}`;
  const entry = isInside(place) ? beside?.find(place) : undefined;
  if (entry?.kind !== 'file') {
    report.at(at('playbook'), `there is no playbook "${place}" beside this file`);
    return undefined;
  }
  files.set(place, entry);
  const settings = settingsOf(said, folder === '' ? '.' : folder, inside);
  for (const name of settings.inventory ?? []) {
    const found = folder === '' ? name : `${folder}/${name}`;
    const inventory = isInside(found) ? beside?.find(found) : undefined;
    if (inventory === undefined)
      report.at(at('inventory'), `there is no inventory "${found}" beside this file`);
    else if (inventory.kind === 'file') files.set(found, inventory);
    else for (const [each, stat] of Object.entries(inventory.files)) files.set(`${found}/${each}`, stat);
  }
  const script = (preview: boolean) => ({ shell: ['python3'], text: ansibleProgram(settings, preview) });
  return { runner: 'ansible', run: script(false), preview: script(true), files };
}

function settingsOf(said: Exclude<AnsibleFile, string>, folder: string, playbook: string): AnsibleSettings {
  const { inventory, groups, tags, skipTags, vaultPassword, arguments: more } = said;
  return {
    folder,
    playbook,
    ...(inventory === undefined ? {} : { inventory: asList(inventory).map(cleanPath) }),
    ...(groups === undefined ? {} : { groups: asList(groups) }),
    ...(tags === undefined ? {} : { tags: asList(tags) }),
    ...(skipTags === undefined ? {} : { skipTags: asList(skipTags) }),
    ...(vaultPassword === undefined ? {} : { vaultPassword }),
    ...(more === undefined ? {} : { arguments: asList(more) }),
  };
}

function addByName(beside: FileSet | undefined, files: Map<string, FileStat>): void {
  for (const name of byName) {
    const entry = beside?.find(name);
    if (entry?.kind === 'file') files.set(name, entry);
    else if (entry !== undefined) addAll(name, entry.files, files);
  }
}

function addWhole(
  folder: string,
  path: Path,
  beside: FileSet | undefined,
  files: Map<string, FileStat>,
  report: Report,
): boolean {
  const found = folderOf(folder, path, beside, report);
  if (found === undefined) return false;
  addAll(folder, found.files, files);
  return true;
}

function addAll(
  folder: string,
  found: Readonly<Record<string, FileStat>>,
  files: Map<string, FileStat>,
): void {
  for (const [name, stat] of Object.entries(found))
    if (!leftOut.test(name)) files.set(`${folder}/${name}`, stat);
}
