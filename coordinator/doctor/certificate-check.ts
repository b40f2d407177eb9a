/**
 * The certificates with which agents and operators meet when they use https: those of the addresses that they use, be
 * it a proxy in front of the coordinator. What a client would refuse, and what it soon will, is told with what to do.
 */
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { type Finding, finding, type Subject } from './finding.ts';

const dayMs = 24 * 60 * 60_000;

export async function* checkCertificates({
  addresses,
}: Pick<Subject, 'addresses'>): AsyncGenerator<Finding | string> {
  if (addresses.length === 0) yield 'none looked at: name the https addresses that agents use with --address';
  for (const address of addresses) yield* checkAddress(new URL(address));
}

type Met = {
  readonly certificate: DetailedPeerCertificate;
  readonly protocol: string;
  /** Why a client that verifies would refuse it. */
  readonly refusal: string | undefined;
};

async function* checkAddress(url: URL): AsyncGenerator<Finding | string> {
  let met: Met;
  try {
    met = await meet(url);
  } catch (error) {
    yield finding(
      `no TLS connection to ${url.origin}: ${whyNot(error)}`,
      'see whether the proxy there runs and its name leads to it',
    );
    return;
  }
  const { certificate, protocol, refusal } = met;
  const [from, to] = [Date.parse(certificate.valid_from), Date.parse(certificate.valid_to)];
  const now = Date.now();
  const day = new Date(to).toISOString().slice(0, 10);
  if (now < from)
    yield finding(
      `the certificate of ${url.origin} is not valid before ${new Date(from).toISOString()}`,
      "set this machine's clock if it is behind, else use a certificate that is valid now",
    );
  else if (now > to)
    yield finding(
      `the certificate of ${url.origin} has expired on ${day}`,
      "renew it; if it was renewed, the server there has not loaded it, or this machine's clock is ahead",
    );
  else if (to - now < limits.certificateExpiresSoonMs)
    yield finding(
      `the certificate of ${url.origin} expires on ${day}, in ${Math.floor((to - now) / dayMs)} days`,
      'renew it, and see why that does not happen by itself',
    );
  else yield `that of ${url.origin} is valid until ${day}`;
  // Its dates have been told.
  if (refusal !== undefined && refusal !== 'CERT_HAS_EXPIRED' && refusal !== 'CERT_NOT_YET_VALID')
    yield findRefusal(url, certificate, refusal);
  if (protocol !== 'TLSv1.3' && protocol !== 'TLSv1.2')
    yield finding(`${url.origin} speaks ${protocol}`, 'let it speak TLS 1.3, or 1.2 at least');
}

function findRefusal(url: URL, certificate: DetailedPeerCertificate, refusal: string): Finding {
  if (refusal === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return finding(
      `the certificate of ${url.origin} is for ${namesOf(certificate)}`,
      `use one of these names, or a certificate for ${url.hostname}`,
    );
  return finding(
    `the certificate of ${url.origin} is not trusted here: ${refusal}`,
    'let the server there send its intermediate certificates; for a CA of your own set NODE_EXTRA_CA_CERTS to its certificate, for the command line and for agents',
  );
}

const namesOf = ({ subjectaltname, subject }: DetailedPeerCertificate): string =>
  subjectaltname?.replace(/\b(DNS|IP Address):/g, '') ?? String(subject.CN);

/** Shakes hands without verifying, and then says what verifying would. */
function meet({ hostname, port }: URL): Promise<Met> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const options: ConnectionOptions = {
    host,
    port: port === '' ? 443 : Number(port),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: false,
    minVersion: 'TLSv1',
    timeout: limits.clientConnectMs,
  };
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(options, () => {
      const certificate = socket.getPeerCertificate(true);
      const error: unknown = socket.authorizationError;
      const refusal = error == null ? undefined : codeOf(error);
      const protocol = socket.getProtocol() ?? '';
      socket.destroy();
      resolve({ certificate, protocol, refusal });
    });
    socket.on('error', reject);
    socket.on('timeout', () => {
      socket.destroy(new Error(`no answer within ${limits.clientConnectMs / 1_000} s`));
    });
  });
}

/** What OpenSSL says at length of bytes that it cannot use helps nobody. */
function whyNot(error: unknown): string {
  const code = codeOf(error);
  if (notTls.has(code)) return 'what answers there does not speak TLS';
  return code.startsWith('ERR_SSL_') ? `the handshake failed with ${code}` : messageOf(error);
}

/** How the beginning of another protocol looks to OpenSSL. */
const notTls: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
