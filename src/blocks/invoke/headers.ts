// Which headers of a call travel on: hop-by-hop ones end here, identities are never taken from a caller, gRPC's words get Dapr's prefix.
import { headerOf, type RawHeaders } from '../../core/host.ts';
import { isTraceparent } from '../../core/traceparent.ts';
import { failureHeader, legHeader } from './leg-headers.ts';
import type { Sender } from './remote-leg.ts';

/** What is done with a header, by its name. */
type Way = 'pass' | 'filled' | 'drop' | 'connection' | 'first' | 'token' | 'length' | 'type' | 'agent' | 'encoding' | 'plainOnly';
interface Rule {
  /** Name it leaves with: Go's canonical spelling. */
  readonly name: string;
  readonly request: Way;
  readonly response: Way;
}

/** Source: dapr/pkg/messaging/v1/util.go. */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te', 'trailer', 'proxy-authorization', 'proxy-authenticate'];
const identity = ['dapr-caller-app-id', 'dapr-caller-namespace', 'dapr-callee-app-id'] as const;

const special = new Map<string, Omit<Rule, 'name'>>([
  ...hopByHop.map((name) => [name, { request: 'drop', response: 'drop' }] as const),
  ['connection', { request: 'connection', response: 'connection' }],
  ['content-length', { request: 'length', response: 'drop' }],
  ['content-type', { request: 'filled', response: 'type' }],
  [legHeader, { request: 'drop', response: 'drop' }],
  [failureHeader, { request: 'drop', response: 'drop' }],
  // Answered by our own listener; the app would answer it a second time.
  ['expect', { request: 'drop', response: 'pass' }],
  ['host', { request: 'drop', response: 'pass' }],
  ['dapr-app-id', { request: 'drop', response: 'pass' }],
  ['destination-app-id', { request: 'drop', response: 'drop' }],
  ['dapr-api-token', { request: 'token', response: 'pass' }],
  ['traceparent', { request: 'first', response: 'first' }],
  ['tracestate', { request: 'first', response: 'first' }],
  ['baggage', { request: 'first', response: 'first' }],
  ['user-agent', { request: 'agent', response: 'pass' }],
  ['accept-encoding', { request: 'encoding', response: 'pass' }],
  ['range', { request: 'plainOnly', response: 'pass' }],
  ...identity.map((name) => [name, { request: 'drop', response: 'pass' }] as const),
]);

const rules = new Map<string, Rule>();
/** The rule of a name as spelled; spellings are remembered, up to a number no attack can stretch. */
function ruleOf(name: string): Rule {
  let rule = rules.get(name);
  if (rule === undefined) {
    const lower = name.toLowerCase();
    const { request, response } = special.get(lower) ?? (lower.endsWith('-bin') ? { request: 'drop' as const, response: 'drop' as const } : { request: 'pass' as const, response: 'pass' as const });
    rule = { name: canonical(lower.startsWith('grpc-') ? `dapr-${lower}` : lower), request, response };
    if (rules.size < 2048) rules.set(name, rule);
  }
  return rule;
}

/** Go's canonical header spelling: `x-custom` is `X-Custom`. */
export const canonical = (name: string): string => name.toLowerCase().replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());

/** Names that a Connection header declares to be for this hop only. */
function namedBy(connection: string, names: Set<string> | undefined): Set<string> | undefined {
  for (const part of connection.split(',')) {
    const name = part.trim().toLowerCase();
    if (name !== '' && name !== 'close' && name !== 'keep-alive') (names ??= new Set()).add(name);
  }
  return names;
}
function named(headers: RawHeaders): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 10 && ruleOf(name).request === 'connection') names = namedBy(headers[i + 1] as string, names);
  }
  return names;
}

export interface ForwardedHeaders {
  list: RawHeaders;
  /** The caller has no wish about encodings: gzip may be asked for and undone. */
  mayUnpack: boolean;
}

/**
 * Headers of a call as the app gets them, without those of the connection and without a length.
 * `keepToken`: `dapr-api-token` is the app's business because the sidecar itself asks for none.
 * `trace`: whether the sidecar has a trace for the call (`echo`: the caller's, so that one it could not read passes as it is; `span`: one of its own).
 */
export function requestHeaders(headers: RawHeaders, method: string, keepToken: boolean, trace: 'none' | 'echo' | 'span'): ForwardedHeaders {
  const list: RawHeaders = [];
  const hop = named(headers);
  const given = trace === 'echo' ? headerOf(headers, 'traceparent') : undefined;
  const replaced = trace === 'span' || (given !== undefined && isTraceparent(given));
  let mayUnpack = method !== 'HEAD';
  let agent = false;
  let seen = '';
  for (let i = 0; i < headers.length; i += 2) {
    const rule = ruleOf(headers[i] as string);
    const value = headers[i + 1] as string;
    if (hop?.has(rule.name.toLowerCase())) continue;
    switch (rule.request) {
      case 'pass': break;
      case 'filled':
        if (value === '') continue;
        break;
      case 'first':
        if (seen.includes(rule.name) || (replaced && rule.name !== 'Baggage')) continue;
        seen += rule.name;
        break;
      case 'token':
        if (!keepToken) continue;
        break;
      case 'agent':
        agent = true;
        if (value === '') continue;
        break;
      case 'encoding': case 'plainOnly':
        mayUnpack = false;
        break;
      default: continue;
    }
    list.push(rule.name, value);
  }
  // What Go's client says of itself where the caller says nothing; apps see it beside daprd.
  if (!agent) list.push('User-Agent', 'Go-http-client/1.1');
  if (mayUnpack) list.push('Accept-Encoding', 'gzip');
  return { list, mayUnpack };
}

export interface ReturnedHeaders {
  list: RawHeaders;
  contentType: string | undefined;
}

/** Headers of an app's answer as the caller gets them: without those of the connection, without a length, with the content type apart. */
export function responseHeaders(headers: RawHeaders): ReturnedHeaders {
  const list: RawHeaders = [];
  const hop = named(headers);
  let contentType: string | undefined;
  let seen = '';
  for (let i = 0; i < headers.length; i += 2) {
    const rule = ruleOf(headers[i] as string);
    if (hop?.has(rule.name.toLowerCase())) continue;
    switch (rule.response) {
      case 'pass': break;
      case 'first':
        if (seen.includes(rule.name)) continue;
        seen += rule.name;
        break;
      case 'type':
        contentType ??= headers[i + 1] as string;
        continue;
      default: continue;
    }
    list.push(rule.name, headers[i + 1] as string);
  }
  return { list, contentType };
}

/** What the app is told about the sidecar its call came from. Source: dapr/pkg/messaging/direct_messaging.go. */
export function senderHeaders({ appId, namespace, address, hostname }: Sender, calleeId: string): RawHeaders {
  const list: RawHeaders = [];
  const parts: string[] = [];
  if (address !== '') {
    list.push('X-Forwarded-For', address);
    // IPv6 stands in brackets and quotes (RFC 7239).
    const node = address.includes(':') ? `"[${address}]"` : address;
    parts.push(`for=${node}`, `by=${node}`);
  }
  if (hostname !== '') {
    list.push('X-Forwarded-Host', hostname);
    parts.push(`host=${hostname}`);
  }
  list.push('Forwarded', parts.join(';'), 'Dapr-Caller-App-Id', appId, 'Dapr-Caller-Namespace', namespace, 'Dapr-Callee-App-Id', calleeId);
  return list;
}

/** Of a call that came over the leg: what goes on to the app. The other sidecar has applied the rules above; the leg's own headers and those of the connection end here. */
export function legRequestHeaders(headers: RawHeaders): RawHeaders {
  const list: RawHeaders = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const { request } = ruleOf(name);
    if (request !== 'drop' && request !== 'length' && request !== 'connection') list.push(name, headers[i + 1] as string);
  }
  return list;
}
