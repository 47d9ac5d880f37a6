import { describe, expect, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { loadResources } from './loader.ts';

function load(files: Record<string, string> | string, options: { appId?: string; namespace?: string } = {}) {
  const lines: string[] = [];
  const log = createLogger({ appId: '', instance: '', version: '', write: (line) => lines.push(/level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)/.exec(line)!.slice(1).join(' ')) });
  const texts = Object.entries(typeof files === 'string' ? { 'a.yaml': files } : files).map(([file, text]) => ({ file, text }));
  return { set: loadResources(texts, { appId: 'app', namespace: '', log, ...options }), lines };
}
const component = (name: string, more = '') => `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: ${name}\n${more}spec:\n  type: state.in-memory\n  version: v1\n`;
const names = (list: readonly { name: string }[]) => list.map((r) => r.name);

describe('components', () => {
  test('every field, with what is absent', () => {
    const { set } = load(`
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: s, namespace: prod}
auth: {secretStore: vault}
scopes: [app, other]
spec:
  type: state.redis
  version: v1
  initTimeout: 1m
  ignoreErrors: true
  metadata:
  - name: plain
    value: x
  - name: secret
    secretKeyRef: {name: a, key: b}
  - name: env
    envRef: VAR
  - name: nothing
    value: null
`);
    expect(set.components).toEqual([{
      name: 's', namespace: 'prod', scopes: ['app', 'other'], source: { file: 'a.yaml', document: 1 }, type: 'state.redis', version: 'v1', initTimeoutMs: 60_000, ignoreErrors: true, secretStore: 'vault',
      metadata: [{ name: 'plain', value: 'x' }, { name: 'secret', secretKeyRef: { name: 'a', key: 'b' } }, { name: 'env', envRef: 'VAR' }, { name: 'nothing' }],
    }]);
    expect(load(component('bare')).set.components[0]).toMatchObject({ namespace: '', scopes: [], metadata: [], initTimeoutMs: 5000, ignoreErrors: false, secretStore: '' });
  });
  test.each([['0s', 0], ['-1s', -1000], ['soon', 5000], ['"5"', 5000], ['', 5000]])('initTimeout %s', (text, ms) => expect(load(`${component('a')}  initTimeout: ${text}\n`).set.components[0]?.initTimeoutMs).toBe(ms));
  test('keys in any case; of two spellings the last in byte order counts', () => {
    expect(load('APIVERSION: dapr.io/v1alpha1\nKind: Component\nmetadata: {NAME: a, name: b}\nSpec: {Type: x, TYPE: y}').set.components[0]).toMatchObject({ name: 'b', type: 'x' });
  });
  test('order: files as given, documents as written', () => expect(names(load({ 'b.yaml': `${component('z')}---\n${component('a')}`, 'a.yaml': component('m') }).set.components)).toEqual(['z', 'a', 'm']));
  test('other kinds and API versions are passed over in silence', () => {
    const { set, lines } = load({ 1: component('a').replace('v1alpha1', 'v1'), 2: component('a').replace('Component', 'component'), 3: 'kind: ConfigMap', 4: '', 5: '# nothing' });
    expect(set.components).toEqual([]);
    expect(lines).toEqual([]);
  });
});

describe('a bad document is a warning, the others load', () => {
  test.each([
    ['broken YAML', 'a: [', /a\.yaml: document 2: line 9: /],
    ['no object', 'text', /document 2: the document must be an object, found a text/],
    ['a list for a text', component('[x]'), /document 2: metadata\.name must be a text, found a list/],
    ['metadata that is no list', `${component('x')}  metadata: wrong\n`, /document 2: spec\.metadata must be a list, found a text/],
    ['a quoted boolean', `${component('x')}  ignoreErrors: "yes"\n`, /spec\.ignoreErrors must be true or false without quotes/],
    ['an item that is none', `${component('x')}  metadata:\n  - 5\n`, /spec\.metadata\[0\] must be an object, found the number 5/],
    ['a name that is no part of a path', component('a/b'), /invalid name \\"a\/b\\" for \\"Component\\": may not contain '\/'/],
  ])('%s', (_, document, message) => {
    const { set, lines } = load(`${component('before')}---\n${document}\n---\n${component('after')}`);
    expect(names(set.components)).toEqual(['before', 'after']);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(message);
  });
});

describe('who sees what', () => {
  const inNamespace = (name: string, namespace: string) => component(name).replace('spec:', `  namespace: ${namespace}\nspec:`).replace('  name', ' name').replace('\n  namespace', '\n namespace');
  const scoped = (name: string, app: string) => component(name, `scopes: [${app}]\n`);
  test('scopes compare exactly', () => expect(names(load([scoped('a', 'app'), scoped('b', 'App'), scoped('c', 'ap'), scoped('d', '"*"'), component('e')].join('---\n')).set.components)).toEqual(['a', 'e']));
  test('namespaces count only where both sides name one', () => {
    const file = [inNamespace('a', 'one'), inNamespace('b', 'two'), component('c')].join('---\n');
    expect(names(load(file).set.components)).toEqual(['a', 'b', 'c']);
    expect(names(load(file, { namespace: 'one' }).set.components)).toEqual(['a', 'c']);
  });
  test('a name twice is refused, unless the first was out of scope or in another namespace', () => {
    const message = 'failed to load components: duplicate definition of Component name a (state.in-memory/v1) with existing a (state.in-memory/v1)';
    expect(() => load(`${component('a')}---\n${component('a')}`)).toThrow(message);
    expect(() => load(`${component('a')}---\n${scoped('a', 'other')}`)).toThrow(message);
    expect(names(load(`${scoped('a', 'other')}---\n${component('a')}`).set.components)).toEqual(['a']);
    expect(names(load(`${inNamespace('a', 'two')}---\n${inNamespace('a', 'one')}`, { namespace: 'one' }).set.components)).toEqual(['a']);
  });
});

describe('other kinds', () => {
  const head = (kind: string, name: string, version = 'v1alpha1') => `apiVersion: dapr.io/${version}\nkind: ${kind}\nmetadata: {name: ${name}}\n`;
  test('subscriptions of both versions; the later of one name takes its place, scopes come last', () => {
    const v1 = (name: string, topic: string) => `${head('Subscription', name)}spec: {pubsubname: bus, topic: ${topic}, route: /${topic}, metadata: {rawPayload: true}}\n`;
    const v2 = `${head('Subscription', 'v2', 'v2alpha1')}spec:\n  pubsubname: bus\n  topic: t\n  deadLetterTopic: dead\n  routes:\n    rules: [{match: event.type == "x", path: /x}]\n    default: /y\n  bulkSubscribe: {enabled: true, maxMessagesCount: 5}\n`;
    const { subscriptions } = load([v1('a', 'one'), v2, v1('a', 'two'), `${v1('b', 'three')}scopes: [other]\n`].join('---\n')).set;
    expect(subscriptions.map((s) => [s.name, s.topic, s.rules])).toEqual([['a', 'two', [{ match: '', path: '/two' }]], ['v2', 't', [{ match: 'event.type == "x"', path: '/x' }, { match: '', path: '/y' }]]]);
    expect(subscriptions[0]).toMatchObject({ metadata: { rawPayload: 'true' }, deadLetterTopic: '' });
    expect(subscriptions[0]).not.toHaveProperty('bulkSubscribe');
    expect(subscriptions[1]).toMatchObject({ deadLetterTopic: 'dead', bulkSubscribe: { enabled: true, maxMessagesCount: 5 } });
  });
  test('HTTP endpoints; two of one name and none loads', () => {
    const endpoint = (name: string) => `${head('HTTPEndpoint', name)}spec:\n  baseUrl: http://x\n  headers: [{name: a, value: 1}]\n  clientTLS: {rootCA: {secretKeyRef: {name: ca, key: pem}}}\n`;
    expect(load(endpoint('a')).set.httpEndpoints).toMatchObject([{ name: 'a', baseUrl: 'http://x', headers: [{ name: 'a', value: 1 }], clientTls: { rootCA: { name: 'rootCA', secretKeyRef: { name: 'ca', key: 'pem' } } } }]);
    const { set, lines } = load([endpoint('a'), endpoint('b'), endpoint('a')].join('---\n'));
    expect(set.httpEndpoints).toEqual([]);
    expect(lines[0]).toMatch(/^warning .*duplicate definition of HTTPEndpoint name a/);
  });
  test('resiliencies in any document of a file, whatever their apiVersion; a faulty one is an error in the log', () => {
    const { set, lines } = load(`${component('c')}---\n${head('Resiliency', 'a', 'v9')}spec: {policies: {timeouts: {t: 5s}}}\n---\n${head('Resiliency', 'b')}spec: {policies: 5}\n`);
    expect(set.resiliencies).toMatchObject([{ name: 'a', spec: { policies: { timeouts: { t: '5s' } } } }]);
    expect(lines).toEqual([expect.stringMatching(/^error .*resiliency file a\.yaml: document 3: spec\.policies must be an object/)]);
  });
  const server = (spec: string) => load(`${head('MCPServer', 'm')}spec: ${spec}\n`);
  test.each([
    ['{endpoint: {}}', /exactly one of streamableHTTP, sse, or stdio must be set/],
    ['{endpoint: {sse: {url: http://a}, stdio: {command: x}}}', /exactly one of/],
    ['{endpoint: {streamableHTTP: {url: nowhere}}}', /scheme must be http or https, got ""/],
    ['{endpoint: {sse: {url: "ftp://x"}}}', /sse\.url scheme must be http or https, got "ftp"/],
    ['{endpoint: {sse: {url: "http:///x"}}}', /must have a host/],
    ['{endpoint: {stdio: {command: ../x}}}', /must not escape/],
    ['{endpoint: {stdio: {command: a/../../x}}}', /must not escape/],
    ['{endpoint: {stdio: {command: x, env: [{name: "A=B"}]}}}', /invalid characters/],
  ])('MCP server %s', (spec, message) => {
    expect(() => server(spec)).toThrow(message);
    const { set, lines } = server(spec.replace(/\}$/, ', ignoreErrors: true}'));
    expect(set.mcpServers).toEqual([]);
    expect(lines[0]).toMatch(/^error .*Ignoring error processing MCPServer/);
  });
  test('an MCP server that is fine is listed', () => expect(names(server('{endpoint: {streamableHTTP: {url: "https://x/mcp"}}}').set.mcpServers)).toEqual(['m']));
  test('workflow access policies: an invalid one is skipped, an empty one stays', () => {
    const policy = (rules: string) => load(`${head('WorkflowAccessPolicy', 'w')}spec: {rules: ${rules}}\n`);
    expect(names(policy('[]').set.workflowAccessPolicies)).toEqual(['w']);
    expect(names(policy('[{callers: [{appID: a}], workflows: [{name: "*", operations: [schedule]}]}]').set.workflowAccessPolicies)).toEqual(['w']);
    const { set, lines } = policy('[{callers: [], workflows: [{name: x, operations: [fly]}]}]');
    expect(set.workflowAccessPolicies).toEqual([]);
    expect(lines[0]).toMatch(/failed validation, skipping: spec\.rules\[0\]/);
  });
});
