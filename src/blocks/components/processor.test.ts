import { describe, expect, test } from 'vitest';
import type { Host } from '../../core/host.ts';
import { createLogger } from '../../core/log.ts';
import { field, type Properties, schema } from '../../core/metadata.ts';
import type { ComponentResource, MetadataItem } from '../resources/kinds.ts';
import type { AnyDefinition, Manifest, ManifestRow } from './definition.ts';
import { createProcessor, findRow } from './processor.ts';
import { createComponentStore, type Loaded } from './store.ts';

interface Opened {
  name: string;
  properties: Properties;
  signal: AbortSignal;
}
const opened: Opened[] = [];
let closed: string[] = [];

const definition = (type: string, more: Partial<AnyDefinition> = {}): AnyDefinition => ({
  block: type.slice(0, type.indexOf('.')) as AnyDefinition['block'],
  type,
  status: 'stable',
  runtimes: ['node'],
  features: [],
  summary: '',
  metadata: schema({ number: field.integer().optional() }),
  open: async (_metadata, { name, properties, signal }) => {
    opened.push({ name, properties, signal });
    if (properties.fail !== undefined) throw new Error(`cannot: ${properties.fail}`);
    if (properties.hang === 'deaf') await new Promise((done) => setTimeout(done, 400));
    if (properties.hang === 'listens') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('was still connecting'))));
    return { close: async () => void closed.push(name), get: async (secret: string) => ({ [secret]: `secret of ${name}` }), bulkGet: async () => ({}) };
  },
  ...more,
});
const row = (d: AnyDefinition): ManifestRow => ({ type: d.type, ...(d.aliases ? { aliases: d.aliases } : {}), ...(d.versions ? { versions: d.versions } : {}), ...(d.defaultVersion ? { defaultVersion: d.defaultVersion } : {}), load: async () => ({ default: d }) });
const manifest: Manifest = [
  row(definition('state.good')), row(definition('pubsub.good')), row(definition('middleware.http.good')), row(definition('secretstores.good')), row(definition('lock.good')), row(definition('middleware.http.wasm')),
  row(definition('state.elsewhere', { runtimes: ['workers'] })),
  { type: 'state.left-out' },
];

const component = (name: string, type = 'state.good', more: Partial<ComponentResource> & { values?: Record<string, unknown> } = {}): ComponentResource => {
  const { values = {}, ...rest } = more;
  const metadata: MetadataItem[] = Object.entries(values).map(([key, value]) => ({ name: key, value }));
  return { name, namespace: '', scopes: [], source: { file: 'f', document: 1 }, type, version: 'v1', metadata, initTimeoutMs: 5000, ignoreErrors: false, secretStore: '', ...rest };
};
const needs = (store: string, secret = 's'): Partial<ComponentResource> => ({ secretStore: store, metadata: [{ name: 'password', secretKeyRef: { name: secret, key: '' } }] });

function start(options: { deny?: string[]; env?: Record<string, string>; wasmStrictSandbox?: boolean } = {}) {
  opened.length = 0;
  closed = [];
  const lines: string[] = [];
  const log = createLogger({ appId: '', instance: '', version: '', write: (line) => lines.push(`${/level=(\w+)/.exec(line)![1]}: ${/msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"')}`) });
  const components = createComponentStore();
  const host = { runtime: 'node', env: options.env ?? {} } as unknown as Host;
  const processor = createProcessor({ host, manifest, log, components, appId: 'app', namespace: '', ...(options.deny ? { deny: options.deny } : {}), ...(options.wasmStrictSandbox === undefined ? {} : { wasmStrictSandbox: options.wasmStrictSandbox }) });
  const loaded = () => components.all().map((c) => c.name);
  return { processor, components, lines, loaded, messageOf: (resource: ComponentResource) => processor.load([resource]).then(() => '', (error: Error) => error.message) };
}
const wrapped = (kind: string, label: string, text: string) => `process component c error: [INIT_COMPONENT_FAILURE]: initialization error occurred for ${label}: [${kind}]: initialization error occurred for ${label}: ${text}`;

test('secret stores first, then the others in order', async () => {
  const { processor, lines, loaded } = start();
  await processor.load([component('z'), component('s2', 'secretstores.good'), component('a', 'pubsub.good'), component('s1', 'secretstores.good')]);
  expect(loaded()).toEqual(['s2', 's1', 'z', 'a']);
  expect(lines.filter((line) => line.includes('loaded'))).toEqual(['info: Component loaded: s2 (secretstores.good/v1)', 'info: Component loaded: s1 (secretstores.good/v1)', 'info: Component loaded: z (state.good/v1)', 'info: Component loaded: a (pubsub.good/v1)']);
});

describe('a component that needs a secret', () => {
  test('waits for its store, through a chain of stores', async () => {
    const { processor, loaded } = start();
    await processor.load([component('c', 'state.good', needs('third')), component('third', 'secretstores.good', needs('second')), component('second', 'secretstores.good')]);
    expect(loaded()).toEqual(['second', 'third', 'c']);
    expect(opened.at(-1)?.properties).toEqual({ password: 'secret of third' });
  });
  test('is parked, with a warning and without an end, when the store never comes; opening the store later starts it', async () => {
    const { processor, lines, loaded } = start();
    await processor.load([component('c', 'state.good', needs('later')), component('d')]);
    expect(loaded()).toEqual(['d']);
    expect(processor.parked().map((r) => r.name)).toEqual(['c']);
    expect(lines).toContain("warning: Component c references a secret store that isn't loaded: later");
    await processor.open(component('later', 'secretstores.good'));
    expect(loaded()).toEqual(['d', 'later', 'c']);
    expect(processor.parked()).toEqual([]);
  });
  test('can be forgotten while parked', async () => {
    const { processor, loaded } = start();
    await processor.load([component('c', 'state.good', needs('later'))]);
    await processor.close('c');
    await processor.open(component('later', 'secretstores.good'));
    expect(loaded()).toEqual(['later']);
  });
});

describe('what upstream says about', () => {
  const say = (resource: ComponentResource) => start().messageOf(resource);
  test('an unknown category', async () => {
    expect(await say(component('c', 'cache.redis'))).toBe('process component c error: incorrect type cache.redis');
    expect(await say(component('c', 'State.good'))).toBe('process component c error: incorrect type State.good');
    expect(await say(component('c', 'nameresolution.mdns'))).toBe('process component c error: incorrect type nameresolution.mdns');
  });
  test.each([
    ['state.nope', "couldn't find state store state.nope/v1"], ['pubsub.nope', "couldn't find message bus pubsub.nope/v1"], ['secretstores.nope', "couldn't find secret store secretstores.nope/v1"],
    ['configuration.nope', "couldn't find configuration store configuration.nope/v1"], ['lock.nope', "couldn't find lock store lock.nope/v1"], ['crypto.nope', "couldn't find crypto provider crypto.nope/v1"],
    ['conversation.nope', "couldn't find conversation conversation.nope/v1"], ['middleware.http.nope', 'process component c error: HTTP middleware middleware.http.nope/v1 has not been registered'],
    ['state.mysql', "couldn't find state store state.mysql/v1 (Dapr has this component, Outrigger does not yet)"],
  ])('%s', async (type, text) => expect(await say(component('c', type))).toBe(wrapped('CREATE_COMPONENT_FAILURE', `c (${type}/v1)`, text)));
  test('an unknown binding, which is wrapped once', async () => expect(await say(component('c', 'bindings.nope'))).toBe("process component c error: [INIT_COMPONENT_FAILURE]: initialization error occurred for c (bindings.nope/v1): couldn't find binding c (bindings.nope/v1)"));
  test('a failing open', async () => expect(await say(component('c', 'state.good', { values: { fail: 'x' } }))).toBe(wrapped('INIT_COMPONENT_FAILURE', 'c (state.good/v1)', 'cannot: x')));
  test('failing middleware', async () => expect(await say(component('c', 'middleware.http.good', { values: { fail: 'x' } }))).toBe(wrapped('CREATE_COMPONENT_FAILURE', 'c (middleware.http.good/v1)', 'process component c error: error creating HTTP middleware middleware.http.good/v1: cannot: x')));
  test('a keyPrefix of a lock store with the separator', async () => {
    expect(await say(component('c', 'lock.good', { values: { KeyPrefix: 'a||B' } }))).toBe(wrapped('INIT_COMPONENT_FAILURE', 'c (lock.good/v1)', "failed to save lock keyprefix: input key/keyPrefix 'a||b' can't contain '||'"));
    expect(opened).toEqual([]);
  });
  test('a keyPrefix with the separator, before anything is opened', async () => {
    expect(await say(component('c', 'state.good', { values: { KEYPREFIX: 'a||B' } }))).toBe(wrapped('INIT_COMPONENT_FAILURE', 'c (state.good/v1)', "failed to save lock keyprefix: api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'"));
    expect(opened).toEqual([]);
  });
  test.each(['state.elsewhere', 'state.left-out'])('a type that cannot run here: %s', async (type) => expect(await say(component('c', type))).toBe(wrapped('CREATE_COMPONENT_FAILURE', `c (${type}/v1)`, `component c (${type}/v1) is not available on this runtime`)));
});

test('with ignoreErrors a failure is logged and the rest goes on', async () => {
  const { processor, lines, loaded } = start();
  await processor.load([component('a', 'state.nope', { ignoreErrors: true }), component('b')]);
  expect(loaded()).toEqual(['b']);
  expect(lines.filter((line) => line.startsWith('error: Ignoring'))).toEqual([expect.stringMatching(/^error: Ignoring error processing component: process component a error: .*couldn't find state store state\.nope\/v1$/)]);
});
test('without it the first failure ends the loading', async () => {
  const { processor, loaded } = start();
  await expect(processor.load([component('a'), component('b', 'state.nope'), component('c')])).rejects.toThrow('process component b error');
  expect(loaded()).toEqual(['a']);
});

describe('initTimeout', () => {
  const label = 'c (state.good/v1)';
  test.each([0, -1000])('of %i ms is over before anything is tried', async (initTimeoutMs) => {
    expect(await start().messageOf(component('c', 'state.good', { initTimeoutMs }))).toBe(`process component c error: [INIT_COMPONENT_FAILURE]: initialization error occurred for ${label}: init timeout for component ${label}`);
    expect(opened).toEqual([]);
  });
  test('aborts the signal, and the component may say what it was doing', async () => {
    expect(await start().messageOf(component('c', 'state.good', { initTimeoutMs: 30, values: { hang: 'listens' } }))).toBe(wrapped('INIT_COMPONENT_FAILURE', label, `was still connecting\ninit timeout for component ${label}`));
  });
  test('does not wait for one that does not listen, and closes what opens too late', async () => {
    const before = Date.now();
    expect(await start().messageOf(component('c', 'state.good', { initTimeoutMs: 30, values: { hang: 'deaf' } }))).toBe(wrapped('INIT_COMPONENT_FAILURE', label, `context deadline exceeded\ninit timeout for component ${label}`));
    expect(Date.now() - before).toBeLessThan(350);
    await new Promise((done) => setTimeout(done, 400));
    expect(closed).toEqual(['c']);
  });
  test('leaves the signal alone once the component is open', async () => {
    const { processor } = start();
    await processor.load([component('c', 'state.good', { initTimeoutMs: 30 })]);
    await new Promise((done) => setTimeout(done, 60));
    expect(opened[0]?.signal.aborted).toBe(false);
  });
});

test('no secret gets into errors or logs', async () => {
  const { processor, lines } = start({ env: { PASSWORD: 'from the environment' } });
  const both: MetadataItem[] = [{ name: 'fail', secretKeyRef: { name: 's', key: '' } }, { name: 'number', envRef: 'PASSWORD' }];
  await processor.load([component('store', 'secretstores.good'), component('c', 'state.good', { ignoreErrors: true, secretStore: 'store', metadata: both }), component('d', 'state.good', { ignoreErrors: true, secretStore: 'store', metadata: both.slice(0, 1) })]);
  const errors = lines.filter((line) => line.startsWith('error'));
  expect(errors).toHaveLength(4);
  expect(errors.join('\n')).toContain('cannot: ***');
  expect(errors.join('\n')).not.toMatch(/secret of store|from the environment/);
});

test('components.deny: types and types with version, exactly; nameless versions go silently', async () => {
  const { processor, lines, loaded } = start({ deny: ['state.good/v1', 'cache.redis', 'Pubsub.good'] });
  await processor.load([component('a'), component('b', 'pubsub.good'), component('c', 'pubsub.good', { version: '' }), component('d', 'cache.redis')]);
  expect(loaded()).toEqual(['b']);
  expect(lines.filter((line) => line.startsWith('warning'))).toEqual(["warning: component 'a' cannot be loaded because components of type 'a (state.good/v1)' are not allowed", "warning: component 'd' cannot be loaded because components of type 'd (cache.redis/v1)' are not allowed"]);
});

test.each([[true, 'strictSandbox', 'false', { strictSandbox: 'true' }], [true, 'STRICTSANDBOX', 'no', { strictSandbox: 'true' }], [false, 'strictSandbox', 'false', { strictSandbox: 'false' }], [undefined, 'strictSandbox', 'true', { strictSandbox: 'true' }]])('spec.wasm.strictSandbox %s beats what a component says (%s: %s)', async (wasmStrictSandbox, name, value, expected) => {
  const { processor } = start(wasmStrictSandbox === undefined ? {} : { wasmStrictSandbox });
  await processor.load([component('w', 'middleware.http.wasm', { values: { [name]: value } }), component('other', 'middleware.http.good', { values: { strictSandbox: 'false' } })]);
  expect(opened.find((one) => one.name === 'w')?.properties).toEqual(expected);
  expect(opened.find((one) => one.name === 'other')?.properties).toEqual({ strictSandbox: 'false' });
});

test('a pub/sub gets its consumerID', async () => {
  const { processor } = start();
  await processor.load([component('a', 'pubsub.good'), component('b', 'pubsub.good', { values: { consumerID: '  ' } }), component('c', 'pubsub.good', { values: { consumerID: ' me ' } })]);
  expect(opened.map((o) => o.properties.consumerID)).toEqual(['app', 'app', 'me']);
});

describe('whether a component is open just as its YAML says', () => {
  test('by what it says', async () => {
    const { processor } = start();
    await processor.load([component('a', 'state.good', { values: { x: 1 } })]);
    expect(await processor.isCurrent(component('a', 'state.good', { values: { x: 1 }, source: { file: 'g', document: 2 } }))).toBe(true);
    expect(await processor.isCurrent(component('a', 'state.good', { values: { x: 2 } }))).toBe(false);
    expect(await processor.isCurrent(component('b'))).toBe(false);
  });
  test('by its secrets: another one counts, one that cannot be read at the moment does not, and without their store it would wait', async () => {
    const { processor, components } = start();
    await processor.load([component('s', 'secretstores.good'), component('a', 'state.good', needs('s'))]);
    const isCurrent = () => processor.isCurrent(component('a', 'state.good', needs('s')));
    const storeThat = (get: () => Promise<Record<string, string>>) => {
      const store = processor.forget('s') as Loaded;
      components.add({ ...store, port: { ...store.port, get } as Loaded['port'] });
    };
    expect(await isCurrent()).toBe(true);
    storeThat(async () => { throw new Error('not now'); });
    expect(await isCurrent()).toBe(true);
    storeThat(async () => ({ s: 'another' }));
    expect(await isCurrent()).toBe(false);
    processor.forget('s');
    expect(await isCurrent()).toBe(false);
  });
});

test('closing', async () => {
  const { processor, loaded } = start();
  await processor.load([component('a'), component('b')]);
  await processor.close('a');
  await processor.close('nobody');
  expect(loaded()).toEqual(['b']);
  expect(closed).toEqual(['a']);
});

describe('which row a type and version mean', () => {
  const versioned: Manifest = [{ type: 'state.plain', aliases: ['state.simple'] }, { type: 'state.pg', versions: ['v1'], defaultVersion: 'v1' }, { type: 'state.pg', versions: ['v2'] }, { type: 'state.new', versions: ['v2'], defaultVersion: 'v2' }];
  test.each([
    ['state.plain', '', 0], ['state.plain', 'v0', 0], ['state.plain', 'V1', 0], ['state.plain', 'v2', -1], ['State.PLAIN', 'v1', 0], ['state.Simple', '', 0],
    ['state.pg', '', 1], ['state.pg', 'v1', 1], ['state.pg', 'v2', 2], ['state.pg', 'v0', -1], ['state.new', '', 3], ['state.new', 'v1', -1], ['state.none', '', -1],
  ])('%s/%s', (type, version, at) => expect(findRow(versioned, type, version)).toBe(at < 0 ? undefined : versioned[at]));
});
