// configuration.postgresql: items as rows of the user's own table; changes are told by NOTIFY from the user's own trigger.
import { AdapterError, textOf } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { type ConfigurationItem, defineConfigurationStore } from '../../blocks/configuration/port.ts';
import { createSubscribers, type Subscriber } from '../../blocks/configuration/subscribers.ts';
import { postgresConnection, postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { createListener } from '../postgresql/listener.ts';
import { openPostgres } from '../postgresql/pool.ts';
import { changeOf } from './postgresql-change.ts';

interface ChannelSubscriber extends Subscriber {
  readonly channel: string;
}
interface Row {
  key: string;
  item: ConfigurationItem;
}

const longestName = 64;
const wellNamed = (name: string): boolean => /^[a-z0-9./_]*$/.test(name);

export default defineConfigurationStore({
  type: 'configuration.postgresql',
  aliases: ['configuration.postgres'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Configuration items in a PostgreSQL table of your own: key, value, version, metadata, in this order.',
  metadata: schema(
    {
      ...postgresConnectionFields,
      table: field.text().default('').describe('Table with the items; it must exist. Columns in this order: key, value and version (text), metadata (json or NULL). Required.'),
      notifyChannel: field.text().default('').describe("Channel that the table's trigger notifies; default: what a subscription names in its metadata `pgNotifyChannel`"),
    },
    { ...postgresConnectionAliases, pgNotifyChannel: 'notifyChannel' },
  ),
  open: async (metadata, { host, log }) => {
    const { table, notifyChannel } = metadata;
    if (table === '') throw new Error('missing postgreSQL configuration table name');
    if (table.length > longestName) throw new Error(`table name is too long - tableName : '${table}'. max allowed field length is ${longestName}`);
    if (!wellNamed(table)) throw new Error(`invalid table name '${table}'. non-alphanumerics or upper cased table names are not supported`);
    if (notifyChannel !== '') checkChannel(notifyChannel);
    const unconnected = (error: unknown) => {
      throw new Error(`PostgreSQL configuration store connection error: ${textOf(error)}`, { cause: error });
    };
    const connection = await postgresConnection(metadata, host, log).catch((error) => {
      if (error instanceof MetadataError || error instanceof AdapterError) throw error;
      return unconnected(error);
    });
    const pool = await openPostgres(connection, log).catch(unconnected);
    try {
      const { rows } = await pool.read({ text: 'SELECT to_regclass($1) IS NOT NULL AS found' }, [table]).catch((error) => {
        throw new Error(`error in checking if configtable '${table}' exists: '${textOf(error)}'`, { cause: error });
      });
      if (rows[0]?.found !== true) throw new Error(`postgreSQL configuration table '${table}' does not exist`);
    } catch (error) {
      await pool.close();
      throw error;
    }
    const subscribers = createSubscribers<ChannelSubscriber>(log);
    const listener = createListener(connection, log, (channel, payload) => {
      const change = changeOf(payload, log);
      if (change !== undefined) subscribers.notify(change.key, () => new Map([[change.key, change.item]]), (subscriber) => subscriber.channel === channel);
    });
    let closed = false;
    const open = () => {
      if (closed) throw new AdapterError('invalid', 'configuration store is closed');
    };

    return {
      get: async ({ keys, metadata: filter }) => {
        const bad = keys.find((key) => !/^[a-zA-Z0-9./_]*$/.test(key));
        if (bad !== undefined) throw new AdapterError('invalid', `invalid key : '${bad}'`);
        const all = keys.length === 0;
        const { rows } = await pool.read({ text: `SELECT * FROM ${table}${all ? '' : ' WHERE key = ANY($1)'}` }, all ? [] : [[...keys]]).catch((error) => {
          throw new AdapterError(error.kind, `error in querying configuration store: '${textOf(error)}'`, error);
        });
        const found = rows.map(rowOf);
        // The name of the channel is for subscriptions; everything else asks for rows with such metadata.
        const wanted = all ? [] : Object.entries(filter).filter(([name]) => name.toLowerCase() !== 'pgnotifychannel');
        return newest(found.filter(({ item }) => wanted.every(([name, value]) => item.metadata[name] === value)));
      },
      subscribe: async ({ keys, metadata: request }, handler) => {
        open();
        const channel = notifyChannel || Object.entries(request).find(([name]) => name.toLowerCase() === 'pgnotifychannel')?.[1] || '';
        if (channel === '') throw new AdapterError('invalid', `unable to subscribe to ${JSON.stringify(table)}. notifyChannel must be set in component metadata or request metadata`);
        checkChannel(channel);
        await listener.listen(channel);
        open();
        return subscribers.add({ keys, channel }, handler).id;
      },
      unsubscribe: async (id) => {
        open();
        const gone = subscribers.remove(id);
        if (gone === undefined) throw new AdapterError('invalid', `unable to find subscription with ID : ${id}`);
        if ([...subscribers.all()].some(({ channel }) => channel === gone.channel)) return;
        // Without a connection there is nothing to leave.
        await listener.unlisten(gone.channel).catch((error) => log.warn(`error un-listening to channel: ${textOf(error)}`));
      },
      ping: async () => void (await pool.read({ text: 'SELECT 1' })),
      close: async () => {
        closed = true;
        subscribers.clear();
        await Promise.all([listener.close(), pool.close()]);
      },
    };
  },
});

function checkChannel(channel: string): void {
  if (channel.length > longestName) throw new AdapterError('invalid', `notifyChannel name is too long - ${JSON.stringify(channel)}. max allowed length is ${longestName}`);
  if (!wellNamed(channel)) throw new AdapterError('invalid', `invalid notifyChannel name ${JSON.stringify(channel)}. non-alphanumerics or upper cased names are not supported`);
}

/** Columns count by their position, as upstream reads them. */
function rowOf(row: Record<string, unknown>): Row {
  const columns = Object.entries(row);
  const fail = (why: string) => new AdapterError('internal', `unable to parse response from configuration store - error in reading data from configuration store: '${why}'`);
  if (columns.length !== 4) throw fail(`the table has ${columns.length} columns, not key, value, version and metadata`);
  const text = (at: number): string => {
    const [name, value] = columns[at] as [string, unknown];
    if (typeof value !== 'string') throw fail(`can't scan into dest[${at}] (col: ${name}): ${value === null ? 'NULL' : `a ${typeof value}`} is no text`);
    return value;
  };
  const [name, metadata] = columns[3] as [string, unknown];
  if (metadata !== null && (typeof metadata !== 'object' || Array.isArray(metadata) || Object.values(metadata as object).some((value) => typeof value !== 'string'))) {
    throw fail(`can't scan into dest[3] (col: ${name}): it is no JSON object of texts`);
  }
  return { key: text(0), item: { value: text(1), version: text(2), metadata: { ...(metadata as Record<string, string> | null) } } };
}

/** Of several rows for one key the one with the highest whole number as version; one whose version is none counts as -1. */
function newest(rows: readonly Row[]): Map<string, ConfigurationItem> {
  const items = new Map<string, ConfigurationItem>();
  for (const { key, item } of rows) {
    const other = items.get(key);
    if (other === undefined || numberOf(item.version) > numberOf(other.version)) items.set(key, item);
  }
  return items;
}
const numberOf = (version: string): number => (/^[+-]?\d+$/.test(version) ? Number(version) : -1);
