/** The two journals of this tree against the contract that every journal must pass. */

import { rm } from 'node:fs/promises';
import t from 'tap';
import { FileJournal } from '../../../coordinator/journal/file-journal.ts';
import { MemoryJournal } from '../../../coordinator/journal/memory-journal.ts';
import { listPlain } from '../../../coordinator/journal/segment-folder.ts';
import { journalContract, type NoteEvent, parseNote } from '../../contract/journal.ts';

journalContract(t, 'memory', async (lineage) => {
  const journal = new MemoryJournal<NoteEvent>({ lineage, parse: parseNote });
  return { journal, reopen: async () => journal, forget: async (seq) => journal.forget(seq) };
});

const root = t.testdir({});
let folders = 0;

/** With a segment for each batch, and with several batches in one. */
for (const segmentBytesMax of [1, 2_000]) {
  journalContract(t, `file, segments of ${segmentBytesMax} bytes`, async (lineageWhenNew) => {
    folders += 1;
    const folder = `${root}/${folders}`;
    const openOnce = () =>
      FileJournal.open<NoteEvent>({ folder, lineageWhenNew, parse: parseNote, segmentBytesMax });
    const journal = await openOnce();
    return {
      journal,
      reopen: async () => {
        await journal.close();
        return openOnce();
      },
      forget: async (seq) => {
        const segments = await listPlain(folder);
        const kept = segments.findLastIndex(({ first }) => first <= seq);
        for (const { file } of segments.slice(0, kept)) await rm(file);
      },
    };
  });
}
