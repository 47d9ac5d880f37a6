import { expect, test } from 'vitest';
import type { ComponentResource } from './kinds.ts';
import { changesOf, listAfter, sameResource } from './reload.ts';

const component = (name: string, more: Partial<ComponentResource> = {}): ComponentResource => ({
  name, namespace: '', scopes: [], source: { file: 'a.yaml', document: 1 }, type: 'state.in-memory', version: 'v1', metadata: [], initTimeoutMs: 5000, ignoreErrors: false, secretStore: '', ...more,
});
const names = (resources: { name: string }[]) => resources.map((resource) => resource.name).join();

test('deleted, updated and created, by name', () => {
  const changes = changesOf(
    [component('gone'), component('same'), component('other'), component('gone too')],
    [component('new'), component('other', { version: 'v2' }), component('same'), component('newer')],
  );
  expect([names(changes.deleted), names(changes.updated), names(changes.created)]).toEqual(['gone,gone too', 'other', 'new,newer']);
  expect(changes.updated[0]?.version).toBe('v2');
});

test.each<[string, Partial<ComponentResource>]>([
  ['another file', { source: { file: 'b.yaml', document: 3 } }],
  ['another namespace', { namespace: 'n' }],
  ['another order of keys in a value', { metadata: [{ value: { b: [1], a: 'x' }, name: 'm' }] }],
  ['a field that says nothing', { metadata: [{ name: 'm', value: { a: 'x', b: [1] }, envRef: undefined } as never] }],
])('%s makes no difference', (_, more) => {
  expect(sameResource(component('c', { metadata: [{ name: 'm', value: { a: 'x', b: [1] } }] }), component('c', { metadata: [{ name: 'm', value: { a: 'x', b: [1] } }], ...more }))).toBe(true);
});

test.each<[string, Partial<ComponentResource>]>([
  ['type', { type: 'state.redis' }],
  ['version', { version: '' }],
  ['scopes', { scopes: ['app'] }],
  ['initTimeout', { initTimeoutMs: 1 }],
  ['ignoreErrors', { ignoreErrors: true }],
  ['secret store', { secretStore: 's' }],
  ['value', { metadata: [{ name: 'm', value: '2' }] }],
  ['a number instead of text', { metadata: [{ name: 'm', value: 1 }] }],
  ['a large number', { metadata: [{ name: 'm', value: 9007199254740993n }] }],
  ['a list instead of an object', { metadata: [{ name: 'm', value: ['1'] }] }],
  ['null', { metadata: [{ name: 'm', value: null }] }],
  ['one item more', { metadata: [{ name: 'm', value: '1' }, { name: 'n', value: '' }] }],
  ['no item', { metadata: [] }],
  ['order of items, of which the last of a name counts', { metadata: [{ name: 'n', value: '' }, { name: 'm', value: '1' }] }],
])('%s makes a difference', (_, more) => {
  expect(sameResource(component('c', { metadata: [{ name: 'm', value: '1' }] }), component('c', { metadata: [{ name: 'm', value: '1' }], ...more }))).toBe(false);
});

test('what was changed or is new goes behind what stays', () => {
  const known = [component('a'), component('b'), component('c'), component('d')];
  const found = [component('e'), component('d'), component('b', { version: '' }), component('c')];
  expect(names(listAfter(known, changesOf(known, found)))).toBe('c,d,b,e');
});
