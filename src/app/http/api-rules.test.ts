import { expect, test } from 'vitest';
import { createApiRules } from './api-rules.ts';

const routes = {
  state: { group: 'state/v1', path: 'v1.0/state/:storeName/:key' },
  query: { group: 'state/v1alpha1', path: 'v1.0-alpha1/state/:storeName/query' },
  publish: { group: 'publish/v1', path: 'v1.0/publish/:pubsubname/:topic{.+}' },
  bulk: { group: 'publish/v1', path: 'v1.0/publish/bulk/:pubsubname/:topic{.+}' },
  health: { group: '', path: 'v1.0/healthz' },
};
type Rule = [name: string, version: string, protocol?: string];
const left = (allowed: Rule[], denied: Rule[] = []) => {
  const rules = (list: Rule[]) => list.map(([name, version, protocol = 'http']) => ({ name, version, protocol }));
  const passes = createApiRules({ allowed: rules(allowed), denied: rules(denied) });
  return Object.entries(routes).filter(([, route]) => passes(route)).map(([name]) => name);
};
const all = Object.keys(routes);

test('without rules everything is there', () => expect(left([])).toEqual(all));
test('an allowance closes everything else but health', () => expect(left([['state', 'v1']])).toEqual(['state', 'health']));
test('the old form is the beginning of the path', () => {
  expect(left([['state', 'v1.0']])).toEqual(['state', 'health']);
  expect(left([['sta', 'v1.0']])).toEqual(['state', 'health']);
  expect(left([], [['publish/bulk', 'v1.0']])).toEqual(['state', 'query', 'publish', 'health']);
  expect(left([['state/{storeName}/{key}', 'v1.0']])).toEqual(['state', 'health']);
});
test('a denial beats an allowance', () => expect(left([['state', 'v1'], ['publish', 'v1']], [['publish', 'v1']])).toEqual(['state', 'health']));
test('only rules for HTTP count, in any case of letters', () => {
  expect(left([['state', 'v1', 'grpc']])).toEqual(all);
  expect(left([['state', 'v1', '']])).toEqual(all);
  expect(left([['state', 'v1', 'HTTP']])).toEqual(['state', 'health']);
});
