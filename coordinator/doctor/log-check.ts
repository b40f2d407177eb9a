/**
 * What jobs have printed: every record of every segment against its checksum, and each index against its segment. A log
 * with a hole is still a log: what is damaged is lost, and everything else can be read.
 */
import { readFile } from 'node:fs/promises';
import { isMissing } from '../../shared/disk/durable-file.ts';
import { formatNewest } from '../logs/log-records.ts';
import { indexFile, listSegmentFiles } from '../logs/segment-files.ts';
import { decodeSummary } from '../logs/segment-index.ts';
import { recoverSegment } from '../logs/segment-recovery.ts';
import { type Finding, finding, type Subject } from './finding.ts';

const lostRemedy =
  'what was printed there is lost and readers see a gap; a backup that was taken before has it: restore that on another folder to read it';

export async function* checkLogs({ places, client }: Subject): AsyncGenerator<Finding | string> {
  const files = await listSegmentFiles(places.logs);
  let bytes = 0;
  for (const [index, file] of files.entries()) {
    const content = await readUnlessRemoved(file);
    if (content === undefined) continue;
    bytes += content.length;
    const isNewest = index === files.length - 1;
    const recovered = recoverSegment(content, isNewest);
    if (recovered === undefined) {
      // The newest one of a coordinator that runs may just have been made.
      if (!isNewest || client === null)
        yield finding('its head cannot be read, so that nothing of it can', lostRemedy, { file, byte: 0 });
      continue;
    }
    const { head, bytesLost, firstLost, bytesKept } = recovered;
    if (head.format > formatNewest) {
      yield finding(
        `it has format ${head.format}, and this version knows up to ${formatNewest}`,
        'use the version that wrote it, or a newer one',
        { file },
      );
      continue;
    }
    if (bytesLost > 0)
      yield finding(`${bytesLost} bytes are not as they were written`, lostRemedy, {
        file,
        byte: firstLost ?? 0,
      });
    if (isNewest && bytesKept < content.length && client === null)
      yield `a crash has torn the last flush in ${file} at byte ${bytesKept}: the next start cuts it, and agents send it again`;
    if (!isNewest && !(await hasIndex(file, content.length)))
      yield `the index of ${file} is missing or does not fit: the next start makes it anew`;
  }
  yield `${files.length} ${files.length === 1 ? 'segment' : 'segments'}, ${bytes} bytes`;
}

async function hasIndex(file: string, bytes: number): Promise<boolean> {
  const content = await readUnlessRemoved(indexFile(file));
  return content !== undefined && decodeSummary(content, bytes) !== undefined;
}

/** By retention, or because it is not there yet. */
async function readUnlessRemoved(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}
