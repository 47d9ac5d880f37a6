// Where a metadata item's value comes from: the YAML, the environment or a secret, then templates (Dapr: pkg/runtime/processor/secret, pkg/runtime/meta).
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { goEscape, goStringify, utf8, textOfBytes } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import type { Properties } from '../../core/metadata.ts';
import type { SecretStore } from '../secrets/port.ts';
import type { MetadataItem } from './kinds.ts';

export interface ValueSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  secretStore(name: string): SecretStore | undefined;
}
export interface ItemOwner {
  /** For messages: `Component`, `HTTPEndpoint`. */
  kind: string;
  name: string;
  namespace: string;
  /** `auth.secretStore`, '' when absent. */
  secretStore: string;
}
export interface ResolvedItem {
  name: string;
  value: string;
}
export interface ResolvedItems {
  items: ResolvedItem[];
  /** What came out of the environment and of secret stores: never to be shown. */
  hidden: string[];
  /** A named secret store that is not loaded: the resource has to wait for it. */
  waitsFor?: string;
  /** A secret could not be read; why is in the log. */
  unread?: true;
}

/**
 * The text of every item, without templates (HTTPEndpoint headers use it as it is).
 * A value beats envRef, a non-empty secret beats a value. A secret that cannot be had is logged, its item keeps the value or is ''.
 */
export async function resolveItems(owner: ItemOwner, items: readonly MetadataItem[], sources: ValueSources): Promise<ResolvedItems> {
  const { log } = sources;
  const hidden: string[] = [];
  const fetched = new Map<string, Record<string, string> | null>();
  const resolved: ResolvedItem[] = [];
  let warned = false;
  let unread: { unread?: true } = {};
  for (const item of items) {
    let value = valueText(item.value);
    if (item.value === undefined && item.envRef) {
      if (mayRead(item.envRef, sources.env)) hidden.push((value = goUnquote(sources.env[item.envRef] ?? '')));
      else log.warn(`${owner.kind} ${owner.name} references an env variable that isn't allowed: ${item.envRef}`);
    } else if (item.secretKeyRef) {
      const store = sources.secretStore(owner.secretStore);
      if (store) {
        const secret = await secretOf(store, item.secretKeyRef, owner, fetched, log);
        if (!fetched.has(item.secretKeyRef.name)) unread = { unread: true };
        if (secret) hidden.push((value = goUnquote(secret)));
      } else {
        if (!warned) log.warn(`${owner.kind} ${owner.name} references a secret store that isn't loaded: ${owner.secretStore}`);
        warned = true;
        // without any name there is nothing to wait for: the value is left out
        if (owner.secretStore !== '') return { items: [], hidden, waitsFor: owner.secretStore };
      }
    }
    resolved.push({ name: item.name, value });
  }
  return { items: resolved, hidden: hidden.filter((value) => value !== ''), ...unread };
}

/** One entry of a secret; each secret is fetched once per resource. */
async function secretOf(store: SecretStore, { name, key }: { name: string; key: string }, owner: ItemOwner, fetched: Map<string, Record<string, string> | null>, log: Logger): Promise<string | undefined> {
  let secret = fetched.get(name);
  if (secret === undefined) {
    try {
      secret = await store.get(name, { namespace: owner.namespace }, background);
    } catch (error) {
      log.error(`Error getting secret: ${textOf(error)}`);
      return undefined;
    }
    fetched.set(name, secret);
  }
  return secret?.[key || name];
}

/** Names a resource may not read. With DAPR_ENV_KEYS only the names in it, of which upstream looks at the first textual hit alone. */
export function mayRead(name: string, env: ValueSources['env']): boolean {
  const key = name.toUpperCase();
  if (key === '' || key === 'APP_API_TOKEN' || key.startsWith('DAPR_') || key.includes(' ')) return false;
  const allowed = env.DAPR_ENV_KEYS ?? '';
  if (allowed === '') return true;
  const at = allowed.indexOf(key);
  const end = at + key.length;
  return at >= 0 && (at === 0 || allowed[at - 1] === ' ') && (end === allowed.length || allowed[end] === ' ');
}

/** Text as it is; anything else as compact JSON with sorted keys; '' for nothing. */
export function valueText(value: unknown): string {
  return value === undefined || value === null ? '' : typeof value === 'string' ? value : jsonText(value);
}
function jsonText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return goStringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${goEscape(JSON.stringify(key))}:${jsonText(inner)}`).join(',')}}`;
}

export interface TemplateNames {
  env: ValueSources['env'];
  appId: string;
}
/** Replaces {uuid} (a new one at each place), {podName}, {namespace} (which is namespace.appId) and {appID}. Of one name twice the later item counts. */
export function expandTemplates(items: readonly ResolvedItem[], { env, appId }: TemplateNames): Properties {
  const properties: Record<string, string> = {};
  for (const { name, value } of items) {
    let text = value;
    if (text.includes('{')) {
      text = text.replaceAll('{uuid}', () => crypto.randomUUID());
      if (text.includes('{podName}')) {
        if (!env.POD_NAME) throw new Error(`failed to parse metadata: property ${name} refers to {podName} but podName is not set`);
        text = text.replaceAll('{podName}', () => env.POD_NAME as string);
      }
      text = text.replaceAll('{namespace}', () => `${env.NAMESPACE ?? 'default'}.${appId}`).replaceAll('{appID}', () => appId);
    }
    properties[name] = text;
  }
  return properties;
}

/** Go's strconv.Unquote where the text is a whole Go literal (`"…"`, `` `…` ``, `'x'`), else the text itself. */
export function goUnquote(text: string): string {
  const quote = text[0];
  if (text.length < 2 || text.at(-1) !== quote) return text;
  const inner = text.slice(1, -1);
  if (quote === '`') return inner.includes('`') ? text : inner.replaceAll('\r', '');
  if ((quote !== '"' && quote !== "'") || inner.includes('\n')) return text;
  const bytes: number[] = [];
  let runes = 0;
  for (let at = 0; at < inner.length; runes++) {
    const one = /^(?:\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|[^\\])/su.exec(inner.slice(at));
    if (!one) return text;
    const [whole, simple, hex, octal, short, long] = one;
    if (whole === quote || (simple !== undefined && `'"`.includes(simple) && simple !== quote)) return text;
    const byte = hex === undefined ? (octal === undefined ? undefined : Number.parseInt(octal, 8)) : Number.parseInt(hex, 16);
    const rune = short ?? long;
    const point = rune === undefined ? undefined : Number.parseInt(rune, 16);
    if ((byte !== undefined && byte > 255) || (point !== undefined && (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)))) return text;
    if (byte !== undefined) bytes.push(byte);
    else bytes.push(...utf8(point === undefined ? (simple === undefined ? whole : (escapes[simple] as string)) : String.fromCodePoint(point)));
    at += whole.length;
  }
  return quote === "'" && runes !== 1 ? text : textOfBytes(new Uint8Array(bytes));
}
const escapes: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', "'": "'", '"': '"' };

/** Takes hidden values out of a message; short ones only where they stand alone. */
export function redact(message: string, hidden: readonly string[]): string {
  let text = message;
  for (const value of hidden.toSorted((a, b) => b.length - a.length)) {
    if (value.length >= 4) text = text.replaceAll(value, '***');
    else text = text.replace(new RegExp(`(?<![A-Za-z0-9])${value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![A-Za-z0-9])`, 'g'), '***');
  }
  return text;
}
