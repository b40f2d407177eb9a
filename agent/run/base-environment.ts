/**
 * The environment that every script starts from: that of a service, the same on every host and however the
 * agent was started. The agent's own variables (its token, its Node options) never reach a job.
 */
import { userInfo } from 'node:os';

export const basePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function baseEnvironment(agentEnvironment: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const user = currentUser();
  const { TZ } = agentEnvironment;
  return {
    PATH: basePath,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: '/bin/sh',
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    ...(TZ === undefined ? {} : { TZ }),
  };
}

function currentUser(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir } = userInfo();
    return { name: username, home: homedir };
  } catch {
    // No entry in the user database, as in a bare initrd.
    const isRoot = process.getuid?.() === 0;
    return { name: isRoot ? 'root' : String(process.getuid?.() ?? ''), home: isRoot ? '/root' : '/' };
  }
}
