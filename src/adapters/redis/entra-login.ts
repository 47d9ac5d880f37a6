// Signing in to Redis with Microsoft Entra ID: the token is the password, its object id the user, and connections sign in again before it ends (upstream: common/component/redis/redis.go).
import type { Cluster, Redis } from 'ioredis';
import { fromBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { entraCredential } from '../azure/entra-credential.ts';
import type { EntraSettings } from '../azure/entra-settings.ts';
import type { AccessToken } from '../azure/entra-token.ts';

export interface RedisLogin {
  /** The ACL user: the object id of the identity. */
  readonly user: string;
  /** The token of the moment. */
  password(): string;
  /** Keeps the client's connections signed in, those it makes anew included, until it has ended. */
  keep(client: Redis | Cluster): void;
  /** Asks for no more tokens. */
  close(): void;
}

const scope = 'https://redis.azure.com/.default';
/** A token is replaced when so little of its time is left, one that is short-lived at half of what it has. */
const graceMs = 5 * 60_000;
const longestPauseMs = 30_000;
const longestTimerMs = 2 ** 31 - 1;

/** Asks for the first token. Rejects when there is none, or it names no user. */
export async function entraLogin(settings: EntraSettings, host: Host, log: Logger): Promise<RedisLogin> {
  const credential = await entraCredential(settings, host, log);
  let current = await credential.token(scope);
  const user = objectIdOf(current);
  const clients = new Set<Redis | Cluster>();
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** On one connection. A refusal leaves it as it was signed in before; the token's end would cut it, so it is tried until then. */
  const signIn = async (node: Redis): Promise<void> => {
    const { token } = current;
    node.options.password = token;
    for (let pauseMs = 1000; node.status === 'ready' && current.token === token && !closed; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      try {
        await node.call('AUTH', user, token);
        return;
      } catch (error) {
        // Where Redis speaks RESP2 only, a connection that listens takes no AUTH: another one in its place does.
        if (/subscriber mode|allowed in this context/.test(textOf(error))) return node.disconnect(true);
        log.warn(`redis refused the new token of Microsoft Entra ID, trying again: ${textOf(error)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const nodesOf = (client: Redis | Cluster): Redis[] => ('nodes' in client ? client.nodes('all') : [client]);
  const renew = async (): Promise<void> => {
    try {
      const next = await credential.token(scope);
      if (closed) return;
      const isNew = next.token !== current.token;
      current = next;
      if (isNew) for (const node of [...clients].flatMap(nodesOf)) void signIn(node);
    } catch (error) {
      log.warn(`redis: no new token from Microsoft Entra ID, trying again: ${textOf(error)}`);
    }
    if (!closed) plan();
  };
  const plan = (): void => {
    const leftMs = current.expires - Date.now();
    const pauseMs = leftMs > 2 * graceMs ? leftMs - graceMs : Math.max(leftMs / 2, leftMs > 0 ? 1000 : longestPauseMs);
    timer = setTimeout(() => void renew(), Math.min(longestTimerMs, pauseMs));
  };
  plan();

  return {
    user,
    password: () => current.token,
    keep: (client) => {
      clients.add(client);
      // A cluster makes its nodes from the options it was given at first.
      if ('nodes' in client) client.on('+node', (node: Redis) => { node.options.password = current.token; });
      client.once('end', () => clients.delete(client));
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Nobody here checks the token: whoever gave it did. */
function objectIdOf({ token }: AccessToken): string {
  let claims: { oid?: unknown };
  try {
    claims = JSON.parse(textOfClaims(token)) as typeof claims;
  } catch (error) {
    throw new Error(`could not parse Auth token: ${textOf(error)}`, { cause: error });
  }
  if (typeof claims.oid !== 'string' || claims.oid === '') throw new Error('could not parse object ID from Auth token');
  return claims.oid;
}

const textOfClaims = (token: string): string => textOfBytes(fromBase64((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')));
