// MySQL connection strings as Go's driver reads them: `user:password@tcp(host:3306)/database?parameter=value`.
import { parseDuration } from '../../core/duration.ts';
import { parseBool } from '../../core/metadata.ts';

export interface MysqlDsn {
  user: string;
  password: string;
  /** Path of a socket, or host and port. */
  address: { socketPath: string } | { host: string; port: number };
  database: string;
  /** `false`, `true`, `skip-verify`, `preferred` or `custom`. */
  tls: string;
  collation: string;
  /** Milliseconds for connecting; undefined: no limit of its own. */
  timeoutMs: number | undefined;
  clientFoundRows: boolean;
  multiStatements: boolean;
  cleartextPasswords: boolean;
  /** Statements for each new connection. */
  settings: string[];
}

const flags = new Set(['allowAllFiles', 'allowCleartextPasswords', 'allowFallbackToPlaintext', 'allowNativePasswords', 'allowOldPasswords', 'checkConnLiveness', 'clientFoundRows', 'columnsWithAlias', 'interpolateParams', 'multiStatements', 'parseTime', 'rejectReadOnly']);
// About the driver itself, with no meaning here.
const ignored = new Set(['readTimeout', 'writeTimeout', 'timeTruncate', 'strict', 'maxAllowedPacket', 'connectionAttributes']);

/** Throws with what is wrong; the text may hold a password and is never shown. */
export function parseMysqlDsn(text: string): MysqlDsn {
  const slash = text.lastIndexOf('/', text.includes('?') && text.lastIndexOf('/', text.lastIndexOf('?')) >= 0 ? text.lastIndexOf('?') : text.length);
  if (slash < 0) throw new Error('missing the slash separating the database name');
  const [before, after] = [text.slice(0, slash), text.slice(slash + 1)];
  const at = before.lastIndexOf('@');
  const login = at < 0 ? '' : before.slice(0, at);
  const colon = login.indexOf(':');
  const [, net = '', place = ''] = /^([^(]*)(?:\((.*)\))?$/s.exec(before.slice(at + 1)) ?? fail('network address not terminated');
  const question = after.indexOf('?');
  const parameters = question < 0 ? [] : after.slice(question + 1).split('&');

  const dsn: MysqlDsn = {
    user: colon < 0 ? login : login.slice(0, colon),
    password: colon < 0 ? '' : login.slice(colon + 1),
    address: addressOf(net || 'tcp', place),
    database: decodeURIComponent(question < 0 ? after : after.slice(0, question)),
    tls: 'false',
    collation: 'utf8mb4_general_ci',
    timeoutMs: undefined,
    clientFoundRows: false,
    multiStatements: false,
    cleartextPasswords: false,
    settings: [],
  };
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=');
    if (equals < 0) continue;
    take(dsn, parameter.slice(0, equals), decodeURIComponent(parameter.slice(equals + 1).replaceAll('+', ' ')));
  }
  return dsn;
}

function take(dsn: MysqlDsn, name: string, value: string): void {
  if (flags.has(name)) {
    const on = parseBool(value) ?? fail(`invalid bool value: ${value}`);
    if (name === 'clientFoundRows' || name === 'multiStatements') dsn[name] = on;
    if (name === 'allowCleartextPasswords') dsn.cleartextPasswords = on;
  } else if (name === 'tls') dsn.tls = ({ '1': 'true', '0': 'false', true: 'true', false: 'false' })[value.toLowerCase()] ?? value;
  else if (name === 'collation') dsn.collation = value;
  else if (name === 'timeout') dsn.timeoutMs = parseDuration(value) ?? fail(`invalid duration: ${value}`);
  else if (name === 'loc') {
    if (value !== 'UTC') fail('loc is not supported but for UTC');
  } else if (name === 'charset') {
    const first = value.split(',')[0] as string;
    if (!/^\w+$/.test(first)) fail(`invalid charset: ${first}`);
    dsn.settings.push(`SET NAMES ${first}`);
  } else if (name === 'compress' || name === 'serverPubKey') fail(`${name} is not supported`);
  else if (!ignored.has(name)) {
    if (!/^[\w.@]+$/.test(name)) fail(`invalid name of a variable: ${name}`);
    dsn.settings.push(`SET ${name} = ${value}`);
  }
}

function addressOf(net: string, place: string): MysqlDsn['address'] {
  if (net === 'unix') return { socketPath: place || '/tmp/mysql.sock' };
  if (net !== 'tcp') return fail(`default addr for network '${net}' unknown`);
  const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(place) ?? fail(`invalid address: ${place}`);
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port || 3306) };
}

const fail = (why: string): never => {
  throw new Error(why);
};
