import { expect, it } from 'vitest';
import type { SubscriptionResource } from '../resources/kinds.ts';
import { createSubscriptionList, type SubscriptionSpec } from './subscription-list.ts';

const declared = (name: string, topic: string, path: string): SubscriptionResource => ({
  name, namespace: '', scopes: [], source: { file: 'f', document: 1 }, pubsubName: 'bus', topic, rules: path ? [{ match: '', path }] : [], metadata: {}, deadLetterTopic: '',
});
const told = (topic: string, path: string, more: Partial<SubscriptionSpec> = {}): SubscriptionSpec => ({ pubsubName: 'bus', topic, metadata: {}, rules: [{ match: '', path }], deadLetterTopic: '', bulkSubscribe: undefined, type: 'PROGRAMMATIC', ...more });
const seen = (list: ReturnType<typeof createSubscriptionList>) => list.view().map((s) => `${s.pubsubname}/${s.topic} ${s.type} ${s.rules?.map((r) => r.path).join() ?? '-'}`);

it('of declarations for one topic the first counts, of those with one name the last', () => {
  const list = createSubscriptionList([declared('a', 't', '/1'), declared('b', 't', '/2'), declared('a', 'u', '/3')]);
  expect(seen(list)).toEqual(['bus/t DECLARATIVE /2', 'bus/u DECLARATIVE /3']);
});
it('the app’s word takes the place of a declaration; of its own the last counts', () => {
  const list = createSubscriptionList([declared('a', 't', '/1'), declared('b', 'u', '/2')]);
  list.setProgrammatic([told('v', '/3'), told('t', '/4'), told('v', '/5'), told('t', '/6', { pubsubName: 'other' })]);
  expect(seen(list)).toEqual(['bus/t PROGRAMMATIC /4', 'bus/u DECLARATIVE /2', 'bus/v PROGRAMMATIC /5', 'other/t PROGRAMMATIC /6']);
});
it('lists rules and metadata only where there are some', () => {
  const list = createSubscriptionList([declared('a', 't', '')]);
  list.setProgrammatic([told('u', '/u', { rules: [{ match: 'x', path: '/x' }, { match: '', path: '' }], metadata: { a: 'b' }, deadLetterTopic: 'd' })]);
  expect(list.view()).toEqual([
    { pubsubname: 'bus', topic: 't', deadLetterTopic: '', type: 'DECLARATIVE' },
    { pubsubname: 'bus', topic: 'u', metadata: { a: 'b' }, rules: [{ match: 'x', path: '/x' }, {}], deadLetterTopic: 'd', type: 'PROGRAMMATIC' },
  ]);
});
