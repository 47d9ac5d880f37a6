// bindings.graphql against a server of the test's own that answers as the GraphQL-over-HTTP specification says. No GraphQL engine is behind it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { startApp } from '../harness/app.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.graphql';

describe(type, () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let answer: Response;
  beforeAll(async () => {
    app = await startApp(() => answer);
  });
  afterAll(() => app.stop());
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<Binding>(type, { endpoint: `http://127.0.0.1:${app.port}/graphql?v=1`, ...metadata });
    return (operation: string, wanted: Record<string, string>) => (port.invoke as NonNullable<Binding['invoke']>)({ operation, data: new Uint8Array(0), metadata: wanted }, background);
  };

  describeBinding({ type, start: async () => ({ metadata: { endpoint: 'http://127.0.0.1:1' }, stop: async () => undefined }), operations: ['query', 'mutation'] });

  test('the question, its variables and headers; the data comes back as Go prints it', async () => {
    answer = Response.json({ data: { b: 1.5, a: ['<ü>', null, 12345678901234567890n.toString()] }, extensions: {} });
    const invoke = await open({ 'header:X-Key': 'component', 'header:authorization': 'Bearer one' });
    const result = await invoke('query', { query: '\n query q($id: ID) { a } ', 'variable:id': '7', 'variable:b': '<', 'header:Authorization': 'Bearer two', other: 'x' });
    const [request] = app.requests.slice(-1);
    expect([request?.method, request?.target, request?.text()]).toEqual(['POST', '/graphql?v=1', '{"query":"query q($id: ID) { a }","variables":{"b":"\\u003c","id":"7"}}\n']);
    expect(['content-type', 'accept', 'x-key', 'authorization', 'other'].map((name) => request?.header(name))).toEqual(['application/json; charset=utf-8', 'application/json; charset=utf-8', 'component', 'Bearer two', undefined]);
    expect(new TextDecoder().decode(result?.data)).toBe('{"a":["\\u003cü\\u003e",null,"12345678901234567890"],"b":1.5}');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/);
    expect(result?.metadata).toEqual({ operation: 'query', 'start-time': time, 'end-time': time, duration: expect.stringMatching(/^[\d.]+(µs|ms|s)$/) });
  });
  test('a mutation without variables, an answer without data', async () => {
    answer = Response.json({});
    const result = await (await open())('mutation', { mutation: 'mutation { b }' });
    expect([app.requests.at(-1)?.text(), new TextDecoder().decode(result?.data), result?.metadata.operation]).toEqual(['{"query":"mutation { b }","variables":null}\n', 'null', 'mutation']);
  });
  test.each([
    ['query', { mutation: 'mutation { b }' }, 'GraphQL Error: required "query" not set'],
    ['query', { query: '{ a }' }, 'GraphQL Error: command is not a query'],
    ['query', { query: 'queryx' }, 'GraphQL Error: command is not a query'],
    ['mutation', { mutation: 'query { a }' }, 'GraphQL Error: command is not a mutation'],
    ['query', { query: 'query { a }' }, 'GraphQL Error: graphql: first'],
  ])('%s %j fails', async (operation, metadata, message) => {
    answer = Response.json({ data: { a: 1 }, errors: [{ message: 'first', path: ['a'] }, { message: 'second' }] }, { status: 200 });
    await expect((await open())(operation, metadata as unknown as Record<string, string>)).rejects.toMatchObject({ message });
  });
  test('what is no answer', async () => {
    answer = new Response('<html>', { status: 502 });
    const query = { query: 'query { a }' };
    await expect((await open())('query', query)).rejects.toMatchObject({ message: "GraphQL Error: decoding response: invalid character '<' looking for beginning of value" });
    await expect((await open({ endpoint: 'http://127.0.0.1:1/g' }))('query', query)).rejects.toMatchObject({ message: 'GraphQL Error: Post "http://127.0.0.1:1/g": dial tcp 127.0.0.1:1: connect: connection refused' });
    await expect(open({ endpoint: '' })).rejects.toMatchObject({ message: 'GraphQL Error: Missing GraphQL URL' });
  });
});
