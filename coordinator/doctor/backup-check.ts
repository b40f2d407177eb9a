/** Backups beside the data: what an interrupted one has left there takes space, and is no backup. */
import path from 'node:path';
import { leftoversIn } from '../backup/leftovers.ts';
import { type Finding, finding, type Subject } from './finding.ts';

export async function* checkBackups({ dataFolder }: Subject): AsyncGenerator<Finding | string> {
  for (const folder of [`${dataFolder}.backups`, path.dirname(dataFolder)])
    for (const { place, isAbandoned } of await leftoversIn(folder))
      yield finding(
        'what an interrupted backup has left, which cannot be restored',
        isAbandoned
          ? `the next \`lockstep backup\` into ${folder} removes it`
          : `see that no backup is being written there from another machine, then rm -r ${place}`,
        { file: place },
      );
}
