import { expect, it } from 'vitest';
import { createLabelRules } from './rules.ts';

const rules = (name: string, label: string, regex: Record<string, string>, bad: string[] = []) => createLabelRules([{ name, labels: [{ name: label, regex }] }], (text) => bad.push(text));

it('there are none without any', () => expect(createLabelRules([], () => {})).toBeUndefined());

it.each(['dapr_runtime_component_loaded', 'runtime_component_loaded', 'runtime/component/loaded'])('a series is meant by %s', (name) => {
  const replace = rules(name, 'app_id', { hidden: 'ru.+' });
  expect(replace?.('runtime_component_loaded', 'app_id', 'rules')).toBe('hidden');
  expect(replace?.('runtime_component_loaded', 'component', 'rules')).toBe('rules');
  expect(replace?.('runtime_component_init_total', 'app_id', 'rules')).toBe('rules');
});

it.each([
  ['every match is replaced, the rest stays', { '{id}': '[0-9]+' }, '/orders/12/items/3', '/orders/{id}/items/{id}'],
  ['groups', { '/$2-$1': '^/(\\w+)/(\\w+)$' }, '/a/b', '/b-a'],
  ['named groups, spelled as in Go', { '/${who}!': '/(?P<who>[a-z]+)' }, '/ann', '/ann!'],
  ['a group that is not there is empty', { '[$9$nobody]': 'x' }, 'axb', 'a[]b'],
  ['a longer name is not a shorter one and text', { '$1x': '(a)' }, 'a', ''],
  ['dollars', { '$$1 $& $': '(a)' }, 'a', '$1 $& $'],
  ['flags', { y: '(?i)ABC' }, 'abc', 'y'],
  ['the ends of the text', { y: '\\Aabc\\z' }, 'abc', 'y'],
  ['POSIX classes', { '#': '[[:digit:]]+' }, 'a12', 'a#'],
])('%s', (_, regex, value, expected) => expect(rules('http_server_latency', 'path', regex)?.('http_server_latency', 'path', value)).toBe(expected));

it('an expression that is none is told of and left out, the others count', () => {
  const bad: string[] = [];
  const replace = rules('dapr_runtime_component_loaded', 'app_id', { hidden: '(', b: 'a' }, bad);
  expect(bad).toHaveLength(1);
  expect(bad[0]).toContain('failed to compile regex for rule runtime/component/loadedapp_id/hidden: ');
  expect(replace?.('runtime_component_loaded', 'app_id', 'a')).toBe('b');
});
