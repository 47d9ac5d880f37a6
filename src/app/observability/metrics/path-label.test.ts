import { describe, expect, it } from 'vitest';
import { latest } from './latest.ts';
import { createPathLabels, reducedPath } from './path-label.ts';

const labels = (http: { increasedCardinality?: boolean; pathMatching?: string[] }, bad: string[] = []) => createPathLabels({ excludeVerbs: false, pathMatching: [], ...http }, (text) => bad.push(text));

it.each([
  ['/v1.0/state/mem/key', '/v1.0/state/mem'], ['/v1.0/state/mem/a/b', '/v1.0/state/mem'], ['/v1.0/state/mem', '/v1.0/state/mem'], ['/v1.0/state', '/v1.0/state'],
  ['/v1.0/secrets/vault/name', '/v1.0/secrets/vault'],
  ['/v1.0/invoke/app/method/orders/1', '/v1.0/invoke/app/method/orders/1'], ['/v1.0/publish/pub/topic', '/v1.0/publish/pub/topic'], ['/one', '/one'], ['one/two', '/one/two'], ['', ''], ['/', '/'],
  ['/v1.0//state///mem/key', '/v1.0/state/mem'], ['/v1.0/statement/mem/key', '/v1.0/statement/mem/key'],
  ['/v1.0/actors/Cat/1/method/meow', '/v1.0/actors/Cat/{id}/method'], ['/v1.0/actors/Cat/1/timers/a/b/c', '/v1.0/actors/Cat/{id}/timers'], ['/v1.0/actors/Cat/1', '/v1.0/actors/Cat/1'],
  ['/actors/Cat/1/method/meow', 'actors/Cat/{id}/method/meow'], ['actors/Cat/1/method/a/b/c', 'actors/Cat/{id}/method/a/b/c'],
  ['/v1.0/workflows/dapr/w1', '/v1.0/workflows/dapr/{instanceId}'], ['/v1.0/workflows/dapr/order/start', '/v1.0/workflows/dapr/order/start'],
  ['/v1.0/workflows/dapr/w1/pause', '/v1.0/workflows/dapr/{instanceId}/pause'], ['/v1.0/workflows/dapr/w1/raiseEvent/paid', '/v1.0/workflows/dapr/{instanceId}/raiseEvent/{eventName}'],
])('%s is counted under %s', (path, label) => {
  expect(reducedPath(path)).toBe(label);
  if (label.startsWith('/')) expect(reducedPath(label)).toBe(label);
});

it('low cardinality: no path, but those of the app that Dapr asks itself', () => {
  const { server, client } = labels({ increasedCardinality: false });
  expect(['/v1.0/state/mem/k', '/dapr/config'].map(server)).toEqual(['', '']);
  expect(['/orders/1', '/dapr/config', '/dapr/subscribe', '/healthz'].map(client)).toEqual(['', '/dapr/config', '/dapr/subscribe', '/healthz']);
});

describe('patterns', () => {
  const patterns = ['/orders/{id}', '/orders/new', '/v1.0/state/mem/{key}', '/files/', '/all/{rest...}', '/exact/{$}', '/{any}/deep/x'];
  const low = labels({ increasedCardinality: false, pathMatching: patterns });
  it.each([
    ['/orders/1', '/orders/{id}'], ['/orders/new', '/orders/new'], ['/orders/1/2', ''], ['/orders', ''], ['/orders/', ''],
    ['/v1.0/invoke/shop/method/orders/1', '/v1.0/invoke/{app_id}/method/orders/{id}'], ['/v1.0/invoke/shop/method/orders/1/2', ''],
    ['/v1.0/state/mem/k', '/v1.0/state/mem/{key}'], ['/files', '/files/'], ['/files/a/b', '/files/'], ['/all/a/b', '/all/{rest...}'], ['/exact/', '/exact/{$}'], ['/exact/a', ''],
    ['/orders/deep/x', '/{any}/deep/x'], ['/dapr/config', '/dapr/config'], ['', ''],
  ])('low cardinality: %s is counted under %s', (path, label) => expect(low.client(path)).toBe(label));

  const high = labels({ increasedCardinality: true, pathMatching: ['/orders/{id}', '/other', '/v1.0/state/'] });
  it.each([['/orders/1', '/orders/{id}'], ['/more/1', '/more/1'], ['/v1.0/state/mem/k', '/v1.0/state/'], ['/v1.0/secrets/vault/a', '/v1.0/secrets/vault'], ['/v1.0/invoke/a/method/other', '/v1.0/invoke/{app_id}/method/other']])(
    'high cardinality: %s is counted under %s', (path, label) => expect(high.server(path)).toBe(label));

  it.each(['/a/{x', '/a/{x}y', '/a/{x}/{x}', '/a/{x...}/b', 'GET /a', '/a/{}', '/a/{1}'])('%s is none: told of, and left out', (pattern) => {
    const bad: string[] = [];
    expect(labels({ increasedCardinality: false, pathMatching: [pattern, '/b/{y}'] }, bad).client('/b/1')).toBe('/b/{y}');
    expect(bad).toHaveLength(1);
    expect(bad[0]).toContain(`the pattern ${pattern} is left out`);
  });
  it('everything falls under the root where that is a pattern', () => expect(labels({ increasedCardinality: false, pathMatching: ['/'] }).client('/what/ever')).toBe('/'));
});

describe('the latest paths', () => {
  const make = (sharesBelow: boolean) => {
    const asked: string[] = [];
    const find = latest((label) => ({ label }), (path) => { asked.push(path); return reducedPath(path); }, sharesBelow);
    return { asked, find };
  };
  it('are remembered, the keys of a store as one', () => {
    const { asked, find } = make(true);
    for (const path of ['/v1.0/state/mem/a', '/v1.0/state/mem/b', '/v1.0/state/memory/b', '/one', '/one', '/v1.0/state/mem/c', '/v1.0/state/mem']) expect(find(path).label).toBe(reducedPath(path));
    expect(asked).toEqual(['/v1.0/state/mem/a', '/v1.0/state/memory/b', '/one', '/v1.0/state/mem']);
  });
  it('are forgotten for others', () => {
    const { asked, find } = make(true);
    for (const path of ['/1', '/2', '/3', '/4', '/5', '/2', '/1']) expect(find(path).label).toBe(path);
    expect(asked).toEqual(['/1', '/2', '/3', '/4', '/5', '/1']);
  });
  it('are each their own where labels are made in another way', () => {
    const { asked, find } = make(false);
    for (const path of ['/v1.0/state/mem/a', '/v1.0/state/mem/b']) find(path);
    expect(asked).toHaveLength(2);
  });
});
