// bindings.mysql: statements of the app's own, in MySQL or MariaDB.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { textOf } from '../../core/errors.ts';
import { field, schema } from '../../core/metadata.ts';
import { readTextFile } from '../../core/text-file.ts';
import { type MysqlDsn, parseMysqlDsn } from '../mysql/dsn.ts';
import { openMysql } from '../mysql/pool.ts';
import { sqlBinding } from './sql-binding.ts';

export default defineBinding({
  type: 'bindings.mysql',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno'],
  features: ['OUTPUT_BINDING'],
  summary: 'Runs SQL statements in MySQL or MariaDB.',
  metadata: schema({
    url: field.text().default('').describe('Connection string as the Go driver for MySQL has it: `user:password@tcp(host:3306)/database?parameter=value`. Required'),
    pemPath: field.text().default('').describe('File with the certificates (PEM) that the server must be signed by, for connection strings with `tls=custom`'),
    maxIdleConns: field.integer().default(0).describe('Most connections that stay open unused; 0 and less: 2'),
    maxOpenConns: field.integer().default(0).describe('Most connections at once; 0 and less: 100'),
    connMaxLifetime: field.duration().default(0).describe('How long a connection is used; default: no limit'),
    connMaxIdleTime: field.duration().default(0).describe('How long connections above maxIdleConns stay open unused; default 1m'),
  }),
  open: async (metadata, { host }) => {
    if (metadata.url === '') throw new Error('missing MySql connection string');
    const dsn = dsnOf(metadata.url);
    const ca = metadata.pemPath === '' ? undefined : await pemOf(metadata.pemPath, () => readTextFile(host.files, metadata.pemPath));
    if (!['false', 'true', 'skip-verify', 'preferred'].includes(dsn.tls) && (dsn.tls !== 'custom' || ca === undefined)) throw new Error('illegal Data Source Name (DSN) specified by url');
    const options = {
      ca,
      maxConnections: metadata.maxOpenConns > 0 ? metadata.maxOpenConns : 100,
      maxIdle: metadata.maxIdleConns > 0 ? metadata.maxIdleConns : 2,
      idleMs: metadata.connMaxIdleTime > 0 ? metadata.connMaxIdleTime : undefined,
      lifetimeMs: metadata.connMaxLifetime > 0 ? metadata.connMaxLifetime : undefined,
    };
    const pool = await openMysql(dsn, options).catch((error) => {
      throw new Error(`unable to ping the DB: ${textOf(error)}`, { cause: error });
    });
    return sqlBinding(pool);
  },
});

function dsnOf(url: string): MysqlDsn {
  try {
    return parseMysqlDsn(url);
  } catch (error) {
    const why = textOf(error);
    throw new Error(`illegal Data Source Name (DSN) specified by url${/supported/.test(why) ? `: ${why}` : ''}`, { cause: error });
  }
}

async function pemOf(path: string, read: () => Promise<string>): Promise<string> {
  let pem: string;
  try {
    pem = await read();
  } catch (error) {
    throw new Error(`error reading PEM file from ${path}: ${textOf(error)}`, { cause: error });
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error('failed to append PEM');
  return pem;
}
