// PostgreSQL connection strings, taken apart: `key=value …` as libpq reads it, and URLs.

/** Settings in the order given; `dbname` is called `database`. Values may stand in quotes; a backslash takes the next character as it is. */
export function dsnSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  const pair = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\[\s\S])*)'|((?!')(?:[^\s\\]|\\[\s\S])*))(?=\s|$)/y;
  const trimmed = text.trim();
  while (pair.lastIndex < trimmed.length) {
    const at = pair.lastIndex;
    const match = pair.exec(trimmed);
    // the text may hold a password: never show it
    if (match === null) throw new Error(`failed to parse connection string: no key=value at character ${at + 1}`);
    set(settings, match[1] as string, (match[2] ?? match[3] ?? '').replace(/\\([\s\S])/g, '$1'));
  }
  return settings;
}

/** Settings of `postgres://user:password@host:port/database?key=value`. */
export function urlSettings(text: string): Map<string, string> {
  // URL wants a host in an authority with a user; libpq does not, for a socket in the query.
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?(\[[^\]]*\]|[^:/?]*)(?::([^/?]*))?(?:\/([^?]*))?(?:\?(.*))?$/.exec(text);
  if (match === null) throw new Error('invalid URL connection string');
  const [, login, host, port, database, query] = match;
  const settings = new Map<string, string>();
  const decoded = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw new Error('invalid URL connection string: invalid URL escape');
    }
  };
  if (login !== undefined) {
    const colon = login.indexOf(':');
    settings.set('user', decoded(colon < 0 ? login : login.slice(0, colon)));
    if (colon >= 0) settings.set('password', decoded(login.slice(colon + 1)));
  }
  if (host) settings.set('host', decoded(host.replace(/^\[|\]$/g, '')));
  if (port) settings.set('port', port);
  if (database) settings.set('database', decoded(database));
  for (const [key, value] of new URLSearchParams(query ?? '')) set(settings, key, value);
  return settings;
}

const set = (settings: Map<string, string>, key: string, value: string) => void settings.set(key === 'dbname' ? 'database' : key, value);
