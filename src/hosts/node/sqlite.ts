// The SQLite port on node:sqlite, which Node (22.13 and later), Bun and Deno all have.
import { type SqliteDatabase, SqliteFailure, type SqlitePort, type SqliteStatement } from '../../core/host.ts';

const busy = 5;

export const sqlite: SqlitePort = {
  open: async (path, options = {}) => {
    const { DatabaseSync } = await import('node:sqlite');
    const database = guarded(() => new DatabaseSync(path, { readOnly: options.readOnly ?? false }));
    try {
      guarded(() => database.exec(`PRAGMA busy_timeout = ${Math.round(options.busyTimeoutMs ?? 2000)}`));
    } catch (error) {
      database.close();
      throw error;
    }
    return {
      exec: (sql) => guarded(() => database.exec(sql)),
      prepare: (sql) => {
        const statement = guarded(() => database.prepare(sql));
        return {
          run: (...parameters) => guarded(() => ({ changes: Number(statement.run(...parameters).changes) })),
          get: (...parameters) => guarded(() => statement.get(...parameters) as ReturnType<SqliteStatement['get']>),
          all: (...parameters) => guarded(() => statement.all(...parameters) as ReturnType<SqliteStatement['all']>),
        };
      },
      close: () => database.close(),
    } satisfies SqliteDatabase;
  },
};

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { errcode, errstr, message } = error as { errcode?: number; errstr?: string; message: string };
    // Deno's exec() tells no code; a lock is the one thing that callers must be able to tell apart.
    const code = errcode ?? (/database (table )?is locked/.test(message) ? busy : 1);
    const text = errstr === undefined || errstr === message ? message : `${errstr}: ${message}`;
    throw new SqliteFailure(code & 0xff, `${text} (${code})`, error);
  }
}
