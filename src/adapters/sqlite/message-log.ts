// The tables of pubsub.sqlite: a log of messages, the groups that read it, and what each group has taken and not finished.
import type { SqliteDatabase, SqliteValue } from '../../core/host.ts';
import type { SharedDatabase } from './database.ts';
import { migrateSqlite } from './migrations.ts';

/** A message as it lies in the log. */
export interface LoggedMessage {
  id: number;
  data: Uint8Array;
  /** JSON of the publish metadata, null where there was none. */
  metadata: string | null;
  /** How often it was handed out, this time included. */
  attempts: number;
  /** When it is not to be delivered any more, in milliseconds since 1970. */
  expiresAt: number | undefined;
}
export interface Group {
  topic: string;
  name: string;
}
/** How a group hands out its messages; all times in milliseconds. */
export interface Rules {
  /** Only one consumer of the group has messages in hand; else as many as there is room for go to each. */
  ordered: boolean;
  /** How long a message stays with a consumer that gives no sign of life. */
  lease: number;
  /** Pause before a failed message comes again; doubled each time, up to `longestPause`. */
  firstPause: number;
  longestPause: number;
  /** How long those behind a failed message wait for it, counted from its first failure. */
  holdBack: number;
  /** After so many failures a message is removed; 0: never. */
  mostAttempts: number;
}
export interface Taken {
  messages: LoggedMessage[];
  /** When there may be more without anybody publishing; undefined: not before. */
  nextAt: number | undefined;
}
/** What became of a message that was handed out. `released`: as if it had never been. */
export type Outcome = 'done' | 'failed' | 'released';

export const metadataTable = 'pubsub_metadata';

/** Call inside an exclusive transaction. */
export function createMessageLog(database: SqliteDatabase): void {
  migrateSqlite(database, {
    metadataTable, key: 'migrations',
    steps: [
      (file) => {
        // Ids are given under the write lock: their order is the order of commits, so that no reader ever passes one over.
        file.exec('CREATE TABLE pubsub_message (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, data BLOB, metadata TEXT, published_at INTEGER NOT NULL, expires_at INTEGER)');
        file.exec('CREATE INDEX pubsub_message_topic ON pubsub_message (topic, id)');
        file.exec('CREATE INDEX pubsub_message_expires_at ON pubsub_message (expires_at) WHERE expires_at IS NOT NULL');
        // `position`: everything up to it was handed out once. What is not finished of that stands in pubsub_delivery.
        file.exec('CREATE TABLE pubsub_group (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, seen_at INTEGER NOT NULL, UNIQUE (topic, name))');
        // `due_at`: with an owner the end of its lease, without one the time of the next try. `holds_until`: those behind it wait so long.
        file.exec('CREATE TABLE pubsub_delivery (group_id INTEGER NOT NULL, message_id INTEGER NOT NULL, attempts INTEGER NOT NULL, owner TEXT, due_at INTEGER NOT NULL, holds_until INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (group_id, message_id)) WITHOUT ROWID');
        file.exec('CREATE INDEX pubsub_delivery_due ON pubsub_delivery (group_id, due_at)');
      },
    ],
  });
}

/** Publishing; runs inside a write. A message of a topic that no group reads is not kept. */
export function messageWriter(database: SharedDatabase) {
  const insert = database.prepare(`INSERT INTO pubsub_message (topic, data, metadata, published_at, expires_at)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM pubsub_group WHERE topic = ?1)`);
  return {
    add: (message: { topic: string; data: Uint8Array; metadata: string | null; expiresAt: number | null }): void =>
      void insert.run(message.topic, message.data, message.metadata, Date.now(), message.expiresAt),
  };
}

const empty = new Uint8Array(0);
const messageOf = (row: Record<string, SqliteValue>, attempts: number): LoggedMessage => ({ id: Number(row.id), data: (row.data as Uint8Array | null) ?? empty, metadata: row.metadata as string | null, attempts, expiresAt: typeof row.expires_at === 'number' ? row.expires_at : undefined });

/** What a consumer does; all but `hasMore` run inside a write. */
export function groupReader(database: SharedDatabase, { topic, name }: Group, rules: Rules) {
  const found = database.prepare('SELECT id, position FROM pubsub_group WHERE topic = ? AND name = ?');
  // A new group begins with what is published from now on.
  const join = database.prepare(`INSERT INTO pubsub_group (topic, name, position, seen_at) VALUES (?1, ?2, (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'pubsub_message'), ?3)
    ON CONFLICT (topic, name) DO UPDATE SET seen_at = excluded.seen_at`);
  const move = database.prepare('UPDATE pubsub_group SET position = ? WHERE id = ?');
  const fresh = database.prepare('SELECT id, data, metadata, expires_at FROM pubsub_message WHERE topic = ? AND id > ? ORDER BY id LIMIT ?');
  const due = database.prepare(`SELECT d.message_id AS id, d.attempts, m.id AS there, m.data, m.metadata, m.expires_at FROM pubsub_delivery d LEFT JOIN pubsub_message m ON m.id = d.message_id
    WHERE d.group_id = ? AND d.due_at <= ? ORDER BY d.message_id LIMIT ?`);
  const holding = database.prepare('SELECT 1 FROM pubsub_delivery WHERE group_id = ?1 AND due_at > ?2 AND owner IS NOT ?3 AND (owner IS NOT NULL OR holds_until > ?2) LIMIT 1');
  const nextDue = database.prepare('SELECT MIN(due_at) AS at FROM pubsub_delivery WHERE group_id = ? AND due_at > ?');
  const nextFree = database.prepare('SELECT MIN(holds_until) AS at FROM pubsub_delivery WHERE group_id = ? AND due_at > ?2 AND holds_until > ?2');
  const hand = database.prepare('INSERT INTO pubsub_delivery (group_id, message_id, attempts, owner, due_at) VALUES (?, ?, 1, ?, ?)');
  const handAgain = database.prepare('UPDATE pubsub_delivery SET attempts = attempts + 1, owner = ?, due_at = ? WHERE group_id = ? AND message_id = ?');
  const finish = database.prepare('DELETE FROM pubsub_delivery WHERE group_id = ? AND message_id = ?');
  const state = database.prepare('SELECT attempts, holds_until FROM pubsub_delivery WHERE group_id = ? AND message_id = ? AND owner = ?');
  const setAside = database.prepare('UPDATE pubsub_delivery SET owner = NULL, due_at = ?, holds_until = ? WHERE group_id = ? AND message_id = ?');
  const release = database.prepare('UPDATE pubsub_delivery SET owner = NULL, due_at = 0, attempts = attempts - 1 WHERE group_id = ? AND message_id = ? AND owner = ?');
  const extend = database.prepare('UPDATE pubsub_delivery SET due_at = ? WHERE group_id = ? AND owner = ?');

  const group = (): { id: number; position: number } => {
    let row = found.get(topic, name);
    if (row === undefined) {
      // The first time, or nobody saw it for so long that it was removed.
      join.run(topic, name, Date.now());
      row = found.get(topic, name);
    }
    return { id: Number(row?.id), position: Number(row?.position) };
  };
  const nextAt = (id: number, now: number): number | undefined => {
    const times = [nextDue.get(id, now)?.at, nextFree.get(id, now)?.at].filter((at) => typeof at === 'number');
    return times.length === 0 ? undefined : Math.min(...times);
  };

  return {
    /** Makes the group if it is new, and notes that it is in use. */
    join: (): void => void join.run(topic, name, Date.now()),
    /** A look without a lock: whether `take` would give something now, or when there may be more. */
    hasMore: (owner: string): Taken['nextAt'] | true => {
      const row = found.get(topic, name);
      if (row === undefined) return true;
      const id = Number(row.id), now = Date.now();
      const blocked = rules.ordered && holding.get(id, now, owner) !== undefined;
      if (!blocked && (due.get(id, now, 1) !== undefined || fresh.get(topic, row.position as number, 1) !== undefined)) return true;
      return nextAt(id, now);
    },
    take: (owner: string, room: number): Taken => {
      const { id, position } = group();
      const now = Date.now();
      const messages: LoggedMessage[] = [];
      if (!(rules.ordered && holding.get(id, now, owner) !== undefined)) {
        const isOver = (row: Record<string, SqliteValue>) => typeof row.expires_at === 'number' && row.expires_at <= now;
        for (const row of due.all(id, now, room)) {
          if (row.there === null || isOver(row)) finish.run(id, row.id as number);
          else {
            handAgain.run(owner, now + rules.lease, id, row.id as number);
            messages.push(messageOf(row, Number(row.attempts) + 1));
          }
        }
        let at = position;
        for (let rows = [true as unknown]; messages.length < room && rows.length > 0; ) {
          const page = fresh.all(topic, at, room - messages.length);
          rows = page;
          for (const row of page) {
            at = Number(row.id);
            if (isOver(row)) continue;
            hand.run(id, at, owner, now + rules.lease);
            messages.push(messageOf(row, 1));
          }
        }
        if (at !== position) move.run(at, id);
      }
      return { messages, nextAt: messages.length < room ? nextAt(id, now) : undefined };
    },
    /** Tells whether the message is given up for good. */
    settle: (owner: string, message: number, outcome: Outcome): boolean => {
      const { id } = group();
      // Done is done, whoever has it in hand meanwhile.
      if (outcome === 'done') finish.run(id, message);
      else if (outcome === 'released') release.run(id, message, owner);
      else {
        const row = state.get(id, message, owner);
        if (row === undefined) return false; // the lease was over and somebody else has it
        const attempts = Number(row.attempts), now = Date.now();
        if (rules.mostAttempts > 0 && attempts >= rules.mostAttempts) {
          finish.run(id, message);
          return true;
        }
        const pause = Math.min(rules.longestPause, rules.firstPause * 2 ** Math.min(30, attempts - 1));
        setAside.run(now + pause, Number(row.holds_until) || now + rules.holdBack, id, message);
      }
      return false;
    },
    /** The consumer is alive: what it has in hand stays with it. */
    extend: (owner: string): void => void extend.run(Date.now() + rules.lease, group().id, owner),
  };
}
export type GroupReader = ReturnType<typeof groupReader>;

/** Removes what nobody needs; each call runs inside a write of its own and removes at most `batch` messages, so that it never takes long. */
export function messageCleaner(database: SharedDatabase, batch = 500) {
  const removeConsumed = database.prepare(`DELETE FROM pubsub_message WHERE id IN (SELECT id FROM pubsub_message WHERE topic = ?1 AND id <= (
      SELECT MIN(MIN(g.position, COALESCE((SELECT MIN(d.message_id) - 1 FROM pubsub_delivery d WHERE d.group_id = g.id), g.position))) FROM pubsub_group g WHERE g.topic = ?1
    ) ORDER BY id LIMIT ${batch})`);
  const removeExpired = database.prepare(`DELETE FROM pubsub_message WHERE id IN (SELECT id FROM pubsub_message WHERE expires_at <= ? ORDER BY expires_at LIMIT ${batch})`);
  const oldest = database.prepare(`SELECT id, published_at FROM pubsub_message ORDER BY id LIMIT ${batch}`);
  const removeUpTo = database.prepare('DELETE FROM pubsub_message WHERE id <= ?');
  const tooMany = database.prepare('SELECT id FROM pubsub_message WHERE topic = ? ORDER BY id DESC LIMIT 1 OFFSET ?');
  const removeOld = database.prepare(`DELETE FROM pubsub_message WHERE id IN (SELECT id FROM pubsub_message WHERE topic = ? AND id <= ? ORDER BY id LIMIT ${batch})`);
  const topics = database.prepare('SELECT DISTINCT topic FROM pubsub_group');
  const removeGroups = database.prepare('DELETE FROM pubsub_group WHERE seen_at < ?');
  const removeUnread = database.prepare(`DELETE FROM pubsub_message WHERE id IN (SELECT id FROM pubsub_message m WHERE NOT EXISTS (SELECT 1 FROM pubsub_group g WHERE g.topic = m.topic) LIMIT ${batch})`);
  const removeDeliveries = database.prepare(`DELETE FROM pubsub_delivery WHERE NOT EXISTS (SELECT 1 FROM pubsub_group g WHERE g.id = group_id) OR NOT EXISTS (SELECT 1 FROM pubsub_message m WHERE m.id = message_id)`);
  return {
    batch,
    topics: (): string[] => topics.all().map((row) => String(row.topic)),
    /** Messages of a topic that every group has finished. */
    consumed: (topic: string): number => removeConsumed.run(topic).changes,
    expired: (): number => removeExpired.run(Date.now()).changes,
    /** Messages published before that time, finished or not. */
    olderThan: (time: number): number => {
      const last = oldest.all().filter((row) => Number(row.published_at) < time).at(-1);
      return last === undefined ? 0 : removeUpTo.run(last.id as number).changes;
    },
    /** The oldest messages of a topic that has more than so many. */
    beyond: (topic: string, most: number): number => {
      const last = tooMany.get(topic, most);
      return last === undefined ? 0 : removeOld.run(topic, last.id as number).changes;
    },
    groupsNotSeenSince: (time: number): number => removeGroups.run(time).changes,
    unread: (): number => removeUnread.run().changes,
    deliveries: (): number => removeDeliveries.run().changes,
  };
}
