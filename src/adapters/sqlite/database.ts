// One SQLite file, opened durably, read at once and written in groups; other processes may share it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { type Host, type SqliteDatabase, SqliteFailure, type SqliteStatement } from '../../core/host.ts';
import type { SqliteConnection, SqliteLocation } from './connection.ts';

export interface SharedDatabase {
  prepare(sql: string): SqliteStatement;
  /** Runs synchronous reading work, again while the file is locked. */
  read<T>(work: () => T): Promise<T>;
  /**
   * Runs synchronous writing work and resolves once it is on the disk. It is all or nothing: an error thrown by it undoes it and
   * rejects. It may run more than once (each time from the start, the earlier run undone) and must change nothing but the database.
   */
  write<T>(work: () => T): Promise<T>;
  /** Waits for the writes under way. */
  close(): Promise<void>;
}

interface Job {
  work(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** When waiting for the lock ends. */
  deadline: number;
}

// One group holds the event loop for its whole length: some milliseconds at this size.
const largestGroup = 500;
// SQLite's own steps for a busy file, in milliseconds.
const waits = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/** Opens the file and creates or updates its tables. Rejects with the reason when that cannot be done. */
export async function openSqlite(host: Host, location: SqliteLocation, settings: SqliteConnection, migrate: (database: SqliteDatabase) => void): Promise<SharedDatabase> {
  if (host.sqlite === undefined) throw new Error(`SQLite files are not available on this runtime (${host.runtime})`);
  const patience = Math.max(0, Math.min(settings.busyTimeout, settings.timeout));
  // No waiting inside SQLite: it would stop the whole sidecar. The loops below wait without blocking.
  const database = await host.sqlite.open(location.uri, { readOnly: location.readOnly, busyTimeoutMs: 0 });
  try {
    // Many sidecars may start on one file at once, and the first ones hold it longer than any write does.
    await whileBusy(settings.timeout, () => {
      if (location.memory) database.exec('PRAGMA journal_mode = MEMORY');
      else if (!location.readOnly) database.exec(`PRAGMA journal_mode = ${settings.disableWAL ? 'DELETE' : 'WAL'}`);
      // FULL, as in daprd: an acknowledged write outlives a crash of the machine too, not only of this process, for which NORMAL
      // would do. The price is one fsync per commit; writing in groups lets all requests of the moment share it.
      database.exec('PRAGMA synchronous = FULL');
      for (const pragma of location.pragmas) database.exec(`PRAGMA ${pragma}`);
      transaction(database, 'BEGIN EXCLUSIVE', () => migrate(database));
    });
  } catch (error) {
    database.close();
    throw error;
  }

  const begin = database.prepare('BEGIN IMMEDIATE'), commit = database.prepare('COMMIT'), rollback = database.prepare('ROLLBACK');
  const savepoint = database.prepare('SAVEPOINT item'), release = database.prepare('RELEASE item'), undo = database.prepare('ROLLBACK TO item');
  let queue: Job[] = [];
  let scheduled = false;
  let closed = false;
  let idle: (() => void) | undefined;

  /** Everything or nothing; throws where the group as a whole failed. Each job's own failure is its outcome. */
  const runGroup = (group: Job[]): (() => void)[] => {
    begin.run();
    try {
      const outcomes = group.map((job) => {
        savepoint.run();
        try {
          const value = job.work();
          release.run();
          return () => job.resolve(value);
        } catch (error) {
          if (isBusy(error)) throw error;
          try {
            undo.run();
            release.run();
          } catch {
            throw error; // a full disk or a broken file has ended the whole transaction
          }
          return () => job.reject(storeError(error));
        }
      });
      commit.run();
      return outcomes;
    } catch (error) {
      try {
        rollback.run();
      } catch {
        // SQLite has rolled back already
      }
      throw error;
    }
  };

  let attempt = 0;
  const flush = () => {
    const group = queue.slice(0, largestGroup);
    const settled: (() => void)[] = [];
    const again: Job[] = [];
    const carryOut = (jobs: Job[]): void => {
      try {
        settled.push(...runGroup(jobs));
      } catch (error) {
        if (!isBusy(error) && jobs.length > 1) {
          // One of them has broken the whole transaction (a disk too full for it): each alone, so that only that one fails.
          for (const job of jobs) carryOut([job]);
          return;
        }
        const now = Date.now();
        for (const job of jobs) {
          if (isBusy(error) && job.deadline > now) again.push(job);
          else settled.push(() => job.reject(storeError(error)));
        }
      }
    };
    carryOut(group);
    queue = [...again, ...queue.slice(largestGroup)];
    attempt = again.length > 0 ? attempt + 1 : 0;
    scheduled = false;
    if (queue.length > 0) schedule(again.length > 0 ? waits[Math.min(attempt, waits.length) - 1] : undefined);
    for (const settle of settled) settle();
    if (!scheduled) idle?.();
  };
  const schedule = (waitMs?: number) => {
    if (scheduled) return;
    scheduled = true;
    // Immediately means: after all requests that have arrived by now have put their writes into the group.
    if (waitMs === undefined) setImmediate(flush);
    else setTimeout(flush, waitMs);
  };

  return {
    prepare: database.prepare,
    read: async (work) => {
      try {
        return work();
      } catch (error) {
        if (!isBusy(error)) throw storeError(error);
      }
      return whileBusy(patience, work).catch((error) => {
        throw storeError(error);
      });
    },
    write: <T>(work: () => T) =>
      new Promise<T>((resolve, reject) => {
        if (closed) return reject(new AdapterError('unavailable', 'the database is closed'));
        queue.push({ work, resolve: resolve as (value: unknown) => void, reject, deadline: Date.now() + patience });
        schedule();
      }),
    close: async () => {
      if (closed) return;
      closed = true;
      if (scheduled) await new Promise<void>((resolve) => (idle = resolve));
      database.close();
    },
  };
}

/** Runs work inside a transaction of its own. */
function transaction(database: SqliteDatabase, begin: string, work: () => void): void {
  database.exec(begin);
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    try {
      database.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back already
    }
    throw error;
  }
}

/** Runs work until the file is not locked or the time is up. */
async function whileBusy<T>(patienceMs: number, work: () => T): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || Date.now() >= deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, waits[Math.min(attempt, waits.length - 1)]));
  }
}

const isBusy = (error: unknown): boolean => error instanceof SqliteFailure && (error.code === 5 || error.code === 6);

const storeError = (error: unknown): unknown => (error instanceof AdapterError ? error : new AdapterError(isBusy(error) ? 'unavailable' : 'internal', textOf(error), error));
