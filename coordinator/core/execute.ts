/** Answers one command: looks at the state, then emits events or rejects. One function per command. */
import { assertNever } from '../../shared/assert.ts';
import {
  administerNode,
  changeParam,
  changeToken,
  labelNode,
  pinModule,
  removeNode,
  setDisruptionBudget,
} from './administration.ts';
import { connectAgent, disconnectAgent, pullJobs, reportFacts } from './agents.ts';
import type { Command, Decision, Lookup } from './commands.ts';
import { createRun } from './create-run.ts';
import { expectNodes, replaceNode } from './expectation-commands.ts';
import { applyProfile, removeProfile } from './profile-commands.ts';
import { declareReceiver, removeReceiver } from './receiver-commands.ts';
import { beginReign, yieldTo } from './restoration.ts';
import { reportResult, reportStarted } from './results.ts';
import { decideJob, resumeRun } from './resume.ts';
import { answerApproval, archiveRun, cancelRun } from './runs.ts';
import type { State } from './state.ts';
import { changeTriggers } from './trigger-commands.ts';
import { decideWith, Turn } from './turn.ts';
import { offerAgent, reportUpgradeFailed } from './upgrades.ts';

export function execute(state: State, command: Command, at: number, lookup: Lookup): Decision {
  return decideWith(new Turn(state, at, lookup), (turn) => decide(turn, command));
}

function decide(turn: Turn, command: Command): void {
  switch (command.type) {
    case 'BeginReign':
      beginReign(turn, command);
      return;
    case 'ReportNewerReign':
      yieldTo(turn, command);
      return;
    case 'CreateToken':
    case 'RevokeToken':
      changeToken(turn, command);
      return;
    case 'ConnectAgent':
      connectAgent(turn, command.hello, command.token);
      return;
    case 'DisconnectAgent':
      disconnectAgent(turn, command);
      return;
    case 'OfferAgent':
      offerAgent(turn, command);
      return;
    case 'ReportUpgradeFailed':
      reportUpgradeFailed(turn, command.node, command);
      return;
    case 'ReportFacts':
      reportFacts(turn, command.node, command.digest);
      return;
    case 'PullJobs':
      pullJobs(turn, command.node, command.credit);
      return;
    case 'ReportStarted':
      reportStarted(turn, command.node, command.attempt, command.nodeAt);
      return;
    case 'ReportResult':
      reportResult(turn, command.node, command.number, command.result);
      return;
    case 'LabelNode':
      labelNode(turn, command);
      return;
    case 'AdministerNode':
      administerNode(turn, command);
      return;
    case 'ExpectNodes':
      expectNodes(turn, command);
      return;
    case 'ReplaceNode':
      replaceNode(turn, command);
      return;
    case 'RemoveNode':
      removeNode(turn, command);
      return;
    case 'SetParam':
    case 'UnsetParam':
      changeParam(turn, command);
      return;
    case 'SetDisruptionBudget':
      setDisruptionBudget(turn, command);
      return;
    case 'DeclareReceiver':
      declareReceiver(turn, command);
      return;
    case 'RemoveReceiver':
      removeReceiver(turn, command);
      return;
    case 'ApplyProfile':
      applyProfile(turn, command);
      return;
    case 'RemoveProfile':
      removeProfile(turn, command);
      return;
    case 'DeclareTrigger':
    case 'RemoveTrigger':
    case 'FireTrigger':
    case 'MeetTrigger':
      changeTriggers(turn, command);
      return;
    case 'PinModule':
      pinModule(turn, command);
      return;
    case 'CreateRun':
      createRun(turn, command);
      return;
    case 'ApproveUnit':
    case 'RejectUnit':
      answerApproval(turn, command);
      return;
    case 'CancelRun':
      cancelRun(turn, command.run, command.by, command.reason);
      return;
    case 'ResumeRun':
      resumeRun(turn, command);
      return;
    case 'DecideJob':
      decideJob(turn, command);
      return;
    case 'ArchiveRun':
      archiveRun(turn, command.run, command.digest);
      return;
    case 'Tick':
      return;
    default:
      assertNever(command);
  }
}
