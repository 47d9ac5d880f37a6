// Log lines in Dapr's text (logfmt) and JSON formats.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';
const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };
export const logLevels = Object.keys(order) as LogLevel[];

export interface Logger {
  debug(message: string, fields?: Record<string, string | number>): void;
  info(message: string, fields?: Record<string, string | number>): void;
  warn(message: string, fields?: Record<string, string | number>): void;
  error(message: string, fields?: Record<string, string | number>): void;
  /** Only logs; ending the process is the host's business. */
  fatal(message: string, fields?: Record<string, string | number>): void;
  /** Written whatever the level is (API log records). */
  always(message: string, fields?: Record<string, string | number>): void;
  /** The same log under another scope, e.g. `dapr.runtime.http`. */
  scope(name: string): Logger;
}

export interface LogOptions {
  appId: string;
  /** Host name. */
  instance: string;
  version: string;
  level?: LogLevel;
  json?: boolean;
  /** Receives one line without line break. */
  write(line: string): void;
}

/** A logger of scope `dapr.runtime`. Text: `time="…" level=info msg="…" app_id=… instance=… scope=… type=log ver=…`. */
export function createLogger(options: LogOptions): Logger {
  const least = order[options.level ?? 'info'];
  const make = (scope: string): Logger => {
    const line = (level: LogLevel, force: boolean, msg: string, fields?: Record<string, string | number>) => {
      if (!force && order[level] < least) return;
      const spelled = level === 'warn' ? 'warning' : level;
      const rest: Record<string, string | number> = { ...fields, app_id: options.appId, instance: options.instance, scope, type: 'log', ver: options.version };
      const time = timestamp();
      if (options.json) {
        const all: Record<string, string | number> = { ...rest, level: spelled, msg, time };
        options.write(JSON.stringify(Object.fromEntries(Object.keys(all).sort().map((k) => [k, all[k]]))));
      } else {
        const tail = Object.keys(rest).sort().map((k) => `${k}=${quoted(String(rest[k]))}`).join(' ');
        options.write(`time="${time}" level=${spelled} msg=${quoted(msg)} ${tail}`);
      }
    };
    return {
      debug: (m, f) => line('debug', false, m, f),
      info: (m, f) => line('info', false, m, f),
      warn: (m, f) => line('warn', false, m, f),
      error: (m, f) => line('error', false, m, f),
      fatal: (m, f) => line('fatal', false, m, f),
      always: (m, f) => line('info', true, m, f),
      scope: make,
    };
  };
  return make('dapr.runtime');
}

/** logrus quotes a value unless it is made of these characters only; an empty one stays bare. */
const quoted = (text: string) => (/^[A-Za-z0-9\-._/@^+]*$/.test(text) ? text : JSON.stringify(text));

/** RFC 3339 in UTC, trailing zeros of the fraction trimmed as Go does. */
function timestamp(): string {
  const [whole, fraction] = new Date().toISOString().slice(0, -1).split('.') as [string, string];
  const trimmed = fraction.replace(/0+$/, '');
  return `${whole}${trimmed ? `.${trimmed}` : ''}Z`;
}
