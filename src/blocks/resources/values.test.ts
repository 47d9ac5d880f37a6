import { describe, expect, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import type { SecretStore } from '../secrets/port.ts';
import type { MetadataItem } from './kinds.ts';
import { expandTemplates, goUnquote, mayRead, redact, resolveItems, valueText } from './values.ts';

const secrets: Record<string, Record<string, string>> = { plain: { plain: 'p', other: 'o' }, empty: { empty: '' }, quoted: { quoted: '"q"' } };
let fetched: [string, Record<string, string>][] = [];
const store: SecretStore = {
  get: async (name, metadata) => {
    fetched.push([name, metadata]);
    const secret = secrets[name];
    if (!secret) throw new Error(`secret ${name} not found`);
    return secret;
  },
  bulkGet: async () => secrets,
  close: async () => {},
};

async function resolve(items: MetadataItem[], { env = {}, secretStore = 'store' }: { env?: Record<string, string>; secretStore?: string } = {}) {
  fetched = [];
  const lines: string[] = [];
  const log = createLogger({ appId: '', instance: '', version: '', write: (line) => lines.push(/msg=("(?:[^"\\]|\\.)*"|\S+)/.exec(line)![1] as string) });
  const resolved = await resolveItems({ kind: 'Component', name: 'c', namespace: 'ns', secretStore }, items, { env, log, secretStore: (name) => (name === 'store' ? store : undefined) });
  return { ...resolved, lines };
}
const ref = (name: string, key = '') => ({ secretKeyRef: { name, key } });

test('a value beats the environment, a secret that is there beats a value', async () => {
  const { items, hidden } = await resolve([
    { name: 'a', envRef: 'V' }, { name: 'b', value: 'yaml', envRef: 'V' }, { name: 'c', value: '', envRef: 'V' },
    { name: 'd', value: 'yaml', ...ref('plain') }, { name: 'e', value: 'yaml', ...ref('plain', 'other') }, { name: 'f', value: 'yaml', ...ref('empty') }, { name: 'g', value: 'yaml', ...ref('plain', 'none') }, { name: 'h', ...ref('quoted') },
  ], { env: { V: 'env' } });
  expect(Object.fromEntries(items.map((item) => [item.name, item.value]))).toEqual({ a: 'env', b: 'yaml', c: '', d: 'p', e: 'o', f: 'yaml', g: 'yaml', h: 'q' });
  expect(hidden).toEqual(['env', 'p', 'o', 'q']);
  expect(fetched).toEqual([['plain', { namespace: 'ns' }], ['empty', { namespace: 'ns' }], ['quoted', { namespace: 'ns' }]]);
});
test('a missing secret is logged and leaves the value', async () => {
  const { items, lines } = await resolve([{ name: 'a', value: 'kept', ...ref('none') }, { name: 'b', ...ref('none') }]);
  expect(items).toEqual([{ name: 'a', value: 'kept' }, { name: 'b', value: '' }]);
  expect(lines[0]).toBe('"Error getting secret: secret none not found"');
});
test('a named store that is not loaded is waited for; without a name the value is left out, and the rest is resolved', async () => {
  expect((await resolve([{ name: 'a', ...ref('plain') }], { secretStore: 'later' })).waitsFor).toBe('later');
  const { items, waitsFor, lines } = await resolve([{ name: 'a', ...ref('plain') }, { name: 'b', ...ref('plain') }, { name: 'c', envRef: 'V' }], { secretStore: '', env: { V: 'env' } });
  expect(waitsFor).toBeUndefined();
  expect(items.map((item) => item.value)).toEqual(['', '', 'env']);
  expect(lines).toEqual(['"Component c references a secret store that isn\'t loaded: "']);
});
test('a forbidden variable is a warning and an empty text', async () => {
  const { items, lines } = await resolve([{ name: 'a', envRef: 'DAPR_API_TOKEN' }], { env: { DAPR_API_TOKEN: 'x' } });
  expect(items).toEqual([{ name: 'a', value: '' }]);
  expect(lines).toEqual(['"Component c references an env variable that isn\'t allowed: DAPR_API_TOKEN"']);
});

describe('names of variables', () => {
  test.each([['PLAIN', true], ['lower', true], ['DAPR', true], ['DAPRX', true], ['MY_DAPR_X', true], ['DAPR_X', false], ['dapr_x', false], ['APP_API_TOKEN', false], ['App_Api_Token', false], ['A B', false], ['', false]])('%j: %s', (name, allowed) => expect(mayRead(name, {})).toBe(allowed));
  test.each([['ONE', true], ['one', true], ['MIDDLE', true], ['LAST', true], ['LAS', false], ['OTHER', false], ['IDDL', false]])('with DAPR_ENV_KEYS %j: %s', (name, allowed) => expect(mayRead(name, { DAPR_ENV_KEYS: 'ONE MIDDLE LAST' })).toBe(allowed));
  test('only the first textual hit counts', () => expect(mayRead('TWO', { DAPR_ENV_KEYS: 'TWOFOLD TWO' })).toBe(false));
});

test.each([['x', 'x'], [undefined, ''], [null, ''], [5, '5'], [1.5, '1.5'], [1000, '1000'], [1e21, '1e+21'], [12345678901234567890n, '12345678901234567890'], [true, 'true'], [[1, 'a', null], '[1,"a",null]'], [{ b: 1, a: { c: '<&>' } }, '{"a":{"c":"\\u003c\\u0026\\u003e"},"b":1}'], ['<&>', '<&>']] as [unknown, string][])('value %$ as text', (value, text) =>
  expect(valueText(value)).toBe(text));

describe('templates', () => {
  const expand = (value: string, env: Record<string, string> = {}) => expandTemplates([{ name: 'a', value }], { env, appId: 'app' }).a;
  test('{uuid} is a new one at each place', () => {
    const [one, two] = (expand('{uuid}/{uuid}') as string).split('/');
    expect(one).toMatch(/^[0-9a-f-]{36}$/);
    expect(two).toMatch(/^[0-9a-f-]{36}$/);
    expect(one).not.toBe(two);
  });
  test('{namespace} is namespace.appId', () => {
    expect(expand('{namespace}', { NAMESPACE: 'prod' })).toBe('prod.app');
    expect(expand('{namespace}')).toBe('default.app');
    expect(expand('{namespace}', { NAMESPACE: '' })).toBe('.app');
  });
  test('{appID}, {podName}; others stay', () => expect(expand('{appID}+{podName}+{appid}+{{appID}}', { POD_NAME: 'p$&' })).toBe('app+p$&+{appid}+{app}'));
  test('{podName} needs POD_NAME', () => expect(() => expand('{podName}')).toThrow('failed to parse metadata: property a refers to {podName} but podName is not set'));
  test('of one name twice the later counts', () => expect(expandTemplates([{ name: 'a', value: '1' }, { name: 'a', value: '2' }, { name: 'A', value: '3' }], { env: {}, appId: '' })).toEqual({ a: '2', A: '3' }));
});

test.each([['"a"', 'a'], ['"a\\nb\\t\\"\\\\"', 'a\nb\t"\\'], ['"\\u00e9\\xc3\\xa9\\303\\251\\U0001F600"', 'éééé😀'.replace('éééé', 'ééé')], ['`a"b`', 'a"b'], ["'x'", 'x'], ["'é'", 'é'], ["'xy'", "'xy'"], ['"a"b"', '"a"b"'], ['"a', '"a'], ['"a\nb"', '"a\nb"'], ['"\\q"', '"\\q"'], ['"\\\'"', '"\\\'"'], ["'\\''", "'"], ['"', '"'], ['', ''], ['""', ''], ['plain', 'plain']])('unquoting %j', (text, plain) => expect(goUnquote(text)).toBe(plain));

test('messages show no hidden value', () => {
  expect(redact("cannot connect to redis://:hunter2@host: 'hunter2'", ['hunter2'])).toBe("cannot connect to redis://:***@host: '***'");
  expect(redact('the key ab is bad, tab is not', ['ab'])).toBe('the key *** is bad, tab is not');
  expect(redact('a longer-secret and a longer', ['longer', 'longer-secret'])).toBe('a *** and a ***');
  expect(redact('(x) $& \\d', ['(x)'])).toBe('*** $& \\d');
});
