/** The agent of this source tree under another version's name: what an operator offers, in tests of upgrades. */
import { runProgram } from '../../../agent/program.ts';

runProgram(process.env.OTHER_VERSION ?? '');
