/** Words that are refused with a reason instead of as a typing error. */

/** What the language will have but this version does not. */
export const laterWords: ReadonlySet<string> = new Set(['certificate']);

/** Keys that belong elsewhere, by the kind of thing they were found in. */
export const misplacedWords: Readonly<
  Record<
    'member' | 'group' | 'finally' | 'aftermath' | 'file' | 'extension',
    Readonly<Record<string, string>>
  >
> = {
  member: {
    on: 'the steps of a group run where the group runs: say it on the group',
    strategy: 'the group as a whole has a strategy: say it on the group',
    approve: 'the group as a whole is approved: say it on the group',
    group: 'groups cannot stand inside groups',
    pipeline: 'other pipelines are called beside groups, not inside of them',
    scope: 'nodes go through a group on their own: write a step of its own beside the group',
    rescue: 'the group as a whole is rescued: say it on the group',
    always: 'it is done when a node has ended the group as a whole: say it on the group',
    window: 'a node that has begun the group goes through all of it: say it on the group',
  },
  group: {
    run: 'a group runs its steps: give the script to one of them',
    runParts: 'a group runs its steps: give the scripts to one of them',
    ansible: 'a group runs its steps: give the playbook to one of them',
    container: 'a group runs its steps: give the container to one of them',
    terraform: 'a group runs its steps: give the configuration to one of them',
    tofu: 'a group runs its steps: give the configuration to one of them',
    check: 'a group runs its steps: give the check to one of them',
    until: 'iterate one of its steps',
    timeout: 'each step of a group has its own timeout',
    retry: 'each step of a group is retried on its own',
    rerun: 'each step of a group says it for itself',
    with: 'values are given to the steps of a group',
    shell: 'say it on the steps of the group',
    uses: 'let one of its steps use the task',
    outputs: 'outputs are declared by the steps of a group',
    offline: 'say it on the steps of the group',
    deferUntil: 'say it on the steps of the group',
    onUnknown: 'say it on the steps of the group',
    scope: 'nodes go through a group on their own: write a step of its own beside the group',
    runOn: 'say it on the steps of the group that another node carries out',
    reboot: 'say it on the step of the group after which the node reboots',
    unknownAfter: 'say it on the steps of the group',
  },
  finally: {
    group: 'write its steps one by one',
    pipeline: 'write its steps one by one',
    scope: 'at the end each node that can be reached does it on its own',
    strategy: 'at the end each node that can be reached does it at once, and no failure stops the others',
    approve: 'the end of a run waits for nobody',
    window: 'the end of a run waits for no window',
    onUnknown: 'no unknown job stops the end of a run',
    reboot: 'the end of a run waits for no node to come back',
    rebootTimeout: 'the end of a run waits for no node to come back',
    deferUntil: 'the end of a run waits for no node to come back',
    rescue: 'no failure stops the end of a run: write the step after it',
    always: 'no failure stops the end of a run: write the step after it',
  },
  aftermath: {
    on: 'it is done on the nodes of its step or group',
    needs: 'its steps are done one after the other on each node',
    group: 'write its steps one by one',
    strategy: 'each node does it as soon as its step or group has ended there',
    approve: 'what is done after a failure waits for nobody',
    window: 'what is done after a failure waits for no window',
    offline: 'nodes that cannot be reached are left out',
    deferUntil: 'nodes that cannot be reached are left out',
    onUnknown: 'say it on the step or on the steps of the group',
    reboot: 'no node is rebooted when its step or group has ended',
    rebootTimeout: 'no node is rebooted when its step or group has ended',
    rescue: 'no failure in it stops the rest of it: write the step after it',
    always: 'no failure in it stops the rest of it: write the step after it',
  },
  file: {
    rescue: 'say it on a step or group',
    always: 'say it on a step or group; finally is for the run as a whole',
    on: 'each step says on its own where it runs',
    strategy: 'say it on a step or group',
    timeout: 'say it on a step',
    retry: 'say it on a step',
    profiles: 'they are files of their own: see lockstep profile apply',
    insert: 'it belongs to a file that extends another pipeline',
    replace: 'it belongs to a file that extends another pipeline',
    remove: 'it belongs to a file that extends another pipeline',
  },
  extension: {
    steps: 'the steps are those of the pipeline that is extended: say insert, replace or remove',
    finally: 'the steps are those of the pipeline that is extended: say insert, replace or remove',
  },
};

/** Names that every JavaScript object answers to: as keys of records they would be found where they are not. */
export const isReservedName = (name: string): boolean => name in Object.prototype;
