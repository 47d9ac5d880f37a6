// Lua scripts in Redis: called by their digest, sent whole where the server does not know them yet.
import { textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import type { RedisArgument, RedisConnection, RedisReply } from './connection.ts';

/** In a cluster all keys must share a slot. Rejects as `command` does. */
export type RunScript = (source: string, keys: readonly string[], args: readonly RedisArgument[]) => Promise<RedisReply>;

export const scriptRunner =
  ({ command }: Pick<RedisConnection, 'command'>): RunScript =>
  async (source, keys, args) => {
    try {
      return await command('EVALSHA', await digestOf(source), keys.length, ...keys, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return command('EVAL', source, keys.length, ...keys, ...args);
    }
  };

export const isUnknownScript = (error: unknown): boolean => /NOSCRIPT/.test(textOf(error));

const digests = new Map<string, Promise<string>>();
/** SHA-1 in hex, as Redis names a script. */
export function digestOf(source: string): Promise<string> {
  let digest = digests.get(source);
  if (digest === undefined) {
    digest = crypto.subtle.digest('SHA-1', utf8(source) as Uint8Array<ArrayBuffer>).then((hash) => [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
    digests.set(source, digest);
  }
  return digest;
}
