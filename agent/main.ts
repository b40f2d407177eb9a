/** The program `lockstep-agent` of this source tree's version. What it does is in program.ts. */
import packageDescription from '../package.json' with { type: 'json' };
import { runProgram } from './program.ts';

runProgram(packageDescription.version);
