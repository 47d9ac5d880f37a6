// LISTEN on PostgreSQL channels over one connection of its own, made again and listening again when it was lost.
import type { Client } from 'pg';
import { AdapterError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { PostgresConnection } from './connection.ts';
import { clientConfig, dependsOnTls, describe } from './pool.ts';

export interface PostgresListener {
  /** Resolves when notifications of the channel arrive. Rejects with AdapterError. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  close(): Promise<void>;
}

const longestPauseMs = 10_000;

/** Connects with the first `listen`. Notifications sent while the connection was lost are lost, as PostgreSQL keeps none. */
export function createListener(connection: PostgresConnection, log: Logger, onNotification: (channel: string, payload: string) => void): PostgresListener {
  const channels = new Set<string>();
  let current: Promise<Client> | undefined;
  let closed = false;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const connect = async (): Promise<Client> => {
    const { default: pg } = await import('pg');
    for (const [i, ssl] of connection.tls.entries()) {
      const client = new pg.Client(clientConfig(connection, ssl));
      client.on('error', () => {}); // `end` follows, and tells it
      try {
        await client.connect();
        client.on('notification', ({ channel, payload }) => onNotification(channel, payload ?? ''));
        client.on('end', lost);
        return client;
      } catch (error) {
        await client.end().catch(() => {});
        if (i === connection.tls.length - 1 || !dependsOnTls(error)) throw error;
      }
    }
    throw new Error('no way to connect');
  };
  const client = (): Promise<Client> => {
    current ??= connect().catch((error) => {
      current = undefined;
      throw error;
    });
    return current;
  };
  const lost = () => {
    current = undefined;
    if (closed) return;
    log.warn('Lost the connection that listens to PostgreSQL, connecting again');
    again(100);
  };
  const again = (pauseMs: number) => {
    clearTimeout(retry);
    retry = setTimeout(async () => {
      if (closed || channels.size === 0) return;
      try {
        const fresh = await client();
        for (const channel of channels) await fresh.query(`LISTEN ${quoted(channel)}`);
        log.info('Listening to PostgreSQL again');
      } catch (error) {
        log.warn(`Cannot listen to PostgreSQL: ${describe(error)}`);
        again(Math.min(longestPauseMs, pauseMs * 2));
      }
    }, pauseMs);
  };
  const run = async (statement: string): Promise<void> => {
    try {
      await (await client()).query(statement);
    } catch (error) {
      throw new AdapterError('unavailable', describe(error), error);
    }
  };

  return {
    listen: async (channel) => {
      if (closed) throw new AdapterError('invalid', 'the listener is closed');
      await run(`LISTEN ${quoted(channel)}`);
      channels.add(channel);
    },
    unlisten: async (channel) => {
      channels.delete(channel);
      if (current !== undefined) await run(`UNLISTEN ${quoted(channel)}`);
    },
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await current?.then((open) => open.end()).catch(() => {});
    },
  };
}

const quoted = (channel: string): string => `"${channel.replaceAll('"', '""')}"`;
