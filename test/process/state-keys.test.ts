// Listing keys over HTTP, which Dapr does not have: what is asked, answered and refused (docs/additions.md).
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';

const store = (name: string, metadata: Record<string, string> = {}) => `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: ${name}
spec:
  type: state.in-memory
  version: v1
  metadata:
${Object.entries(metadata).map(([field, value]) => `  - name: ${field}\n    value: ${JSON.stringify(value)}\n`).join('')}`;

let sidecar: Sidecar;
beforeAll(async () => {
  sidecar = await startSidecar({ resources: { 'a.yaml': store('mem'), 'b.yaml': store('bare', { keyPrefix: 'none' }) } });
  for (const name of ['mem', 'bare']) {
    const saved = await fetch(`${sidecar.http}/v1.0/state/${name}`, { method: 'POST', body: JSON.stringify(Array.from({ length: 12 }, (_, i) => ({ key: `k${String(i).padStart(2, '0')}`, value: i }))) });
    expect(saved.status).toBe(204);
  }
});
afterAll(() => sidecar?.stop());

const list = async (body: string, name = 'mem', method = 'POST') => {
  const response = await fetch(`${sidecar.http}/v1.0-alpha1/state/${name}/keys`, { method, body });
  return [response.status, await response.text()] as const;
};
const names = (...numbers: string[]) => numbers.map((n) => `k${n}`);

test.each(['mem', 'bare'])('all keys, by prefix and by pattern: %s', async (name) => {
  expect(JSON.parse((await list('{}', name))[1]).keys).toHaveLength(12);
  expect(await list('{"prefix":"k1"}', name, 'PUT')).toEqual([200, `${JSON.stringify({ keys: names('10', '11') })}\n`]);
  expect(JSON.parse((await list('{"pattern":"k_1"}', name))[1])).toEqual({ keys: names('01', '11') });
  expect(await list('{"prefix":"nothing"}', name)).toEqual([200, '{"keys":[]}\n']);
});
test('in pages', async () => {
  const first = JSON.parse((await list('{"pageSize":8}'))[1]);
  expect(first.keys).toHaveLength(8);
  const second = JSON.parse((await list(JSON.stringify({ pageSize: 8, continuationToken: first.continuationToken })))[1]);
  expect([...first.keys, ...second.keys]).toEqual(names(...Array.from({ length: 12 }, (_, i) => String(i).padStart(2, '0'))));
  expect(second.continuationToken).toBeUndefined();
});
test.each([
  ['', 'malformed', 400], ['[]', 'cannot unmarshal array', 400], ['{"pageSize":"8"}', 'ListKeysRequest.pageSize', 400], ['{"prefix":"a","pattern":"b"}', 'exclude each other', 400],
])('refused: %s', async (body, text, status) => {
  const [answered, answer] = await list(body);
  expect(answered).toBe(status);
  expect(answer).toMatch(body === '' ? /EOF/ : new RegExp(text));
});
test('an unknown store is unknown before the body is read', async () => {
  const [status, answer] = await list('nonsense', 'nope');
  expect([status, JSON.parse(answer).errorCode]).toEqual([400, 'ERR_STATE_STORE_NOT_FOUND']);
});
