// The shape of a recorded conversation with a real daprd (one JSON file in recordings/).

/** A header as it is written; `{bytes, with}` stands for a value of that length. */
export type Header = [name: string, value: string | { bytes: number; with?: string }];
export type Body = {
  json?: unknown;
  text?: string;
  base64?: string;
  chunks?: string[];
  fill?: { bytes: number; with?: string };
};
/** One request; `raw` replaces everything else with these bytes. */
export type Send = Body & { method: string; target: string; headers?: Header[]; raw?: string };

export type Reply = {
  status?: number;
  headers?: [string, string][];
  json?: unknown;
  text?: string;
  base64?: string;
  /** Method, target and body of the request, as JSON. */
  echo?: boolean;
  /** The request's body back. */
  mirror?: boolean;
  /** The answer to a bulk delivery: one status per entry, in order; the last repeats. */
  statuses?: string[];
  delayMs?: number;
  drop?: boolean;
  /** These bytes, then the connection is closed. */
  raw?: string;
};
/** `match` is "METHOD path" (`*` allowed); `replies` are given one after another, the last repeats. */
export type Route = Reply & { match: string; replies?: Reply[]; quiet?: boolean };
export type AppSpec = {
  routes?: Route[];
  otherwise?: Reply;
  late?: boolean;
  host?: string;
  tls?: { key: string; cert: string };
  h2c?: boolean;
};
/** A file beside the sidecar: a text, an object (written as JSON), a link, or null (removed). */
export type FileContent = string | { symlink?: string; [key: string]: unknown } | null;

export type SidecarSpec = {
  id: string;
  appId?: string;
  resources?: (string | object)[];
  config?: object;
  files?: Record<string, FileContent>;
  flags?: string[];
  env?: Record<string, string>;
  app?: AppSpec;
  /** Health status to wait for (default 204); "exit": the process ends by itself. */
  ready?: number | 'any' | 'exit';
  /** Where to ask for it: a port name or the path of a Unix socket. */
  readyAt?: string;
  /** Pass only `flags`, none of the usual ones. */
  bare?: boolean;
};

export type Step = {
  about?: string;
  expect?: unknown;
  /** The message in the answer is wording of a Go library; status and error code are what counts. */
  wording?: string;
  to?: string;
  port?: string;
  at?: string;
  send?: Send;
  atOnce?: number;
  times?: number;
  until?: number;
  untilText?: string;
  timeoutMs?: number;
  background?: string;
  join?: string;
  save?: Record<string, string>;
  lines?: string;
  pick?: string;
  sort?: boolean | string[];
  app?: string;
  requests?: number;
  waitMs?: number;
  graceMs?: number;
  unordered?: boolean;
  sortHeaders?: boolean;
  peak?: string;
  redis?: string[];
  stream?: string;
  tail?: number;
  sqlite?: string;
  file?: string;
  psql?: string;
  stop?: boolean;
  exit?: boolean;
  log?: string;
  logLines?: string;
  count?: number;
  whole?: boolean;
  read?: string;
  sleepMs?: number;
  write?: Record<string, FileContent>;
  signalSidecar?: NodeJS.Signals;
  stopApp?: string;
  openApp?: string;
};

export type Scenario = {
  about: string;
  services?: string[];
  servers?: Record<string, AppSpec>;
  sidecars: SidecarSpec[];
  prepare?: Step[];
  settleMs?: number;
  steps: Step[];
  /** Extra [pattern, replacement] pairs applied to what is seen. */
  tidy?: [string, string][];
  keepHeaders?: string[];
  dropHeaders?: string[];
  /** Headers of which only the presence counts. */
  anyHeaders?: string[];
};

/** Values that may stand as `${name}` in a scenario: ports, folders, what earlier steps saved. */
export type Vars = Record<string, string | number | undefined>;

/** The text with every known `${name}` replaced. */
export const fill = (text: string, vars: Vars): string =>
  text.replace(/\$\{([\w.-]+)\}/g, (whole, name: string) => (name in vars ? String(vars[name]) : whole));

/** The same for every text inside a value. */
export function fillDeep<T>(value: T, vars: Vars): T {
  return mapTexts(value, (text) => fill(text, vars));
}

/** A copy of a JSON value with every text (not the names of members) passed through `change`. */
export function mapTexts<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)])) as T;
}

export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
