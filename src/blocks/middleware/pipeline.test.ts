import { describe, expect, it } from 'vitest';
import { createLogger } from '../../core/log.ts';
import type { Loaded } from '../components/store.ts';
import { createComponentUsers } from '../components/users.ts';
import { createPipeline } from './pipeline.ts';
import type { HttpMiddleware, MiddlewareAnswer, MiddlewareRequest } from './port.ts';

const request: MiddlewareRequest = { method: 'GET', target: '/', headers: [], body: null, scheme: '', remoteAddress: '' };
const last = async ({ target }: MiddlewareRequest): Promise<MiddlewareAnswer> => ({ status: 200, headers: [], body: target });
const loaded = (name: string, port: Partial<HttpMiddleware>, { type = 'middleware.http.x', version = '' } = {}): [string, Loaded<HttpMiddleware>] => [
  name, { name, type, version, block: 'middleware', features: [], properties: {}, port: { close: async () => undefined, ...port } as HttpMiddleware },
];
/** Adds its letter on the way in and on the way out. */
const letter = (name: string, more = {}) => loaded(name, { handle: async (asked, next) => { const answer = await next({ ...asked, target: asked.target + name }); return { ...answer, body: `${answer.body}${name}` }; } }, more);
const handler = (name: string, type = 'middleware.http.x', version = 'v1') => ({ name, type, version });

describe('pipeline', () => {
  it('is absent without handlers', () => expect(createPipeline({ handlers: [], components: new Map() })).toBeUndefined());
  it('runs its handlers in order, the answer backwards', async () => {
    const pipeline = createPipeline({ handlers: [handler('b'), handler('a'), handler('b')], components: new Map([letter('a'), letter('b')]) });
    expect((await pipeline?.run(request, last))?.body).toBe('/babbab');
  });
  it.each([
    ['another name', handler('z')], ['another type', handler('a', 'middleware.http.X')], ['another version', handler('a', 'middleware.http.x', 'v2')],
  ])('passes over a handler of %s', async (_what, missing) => {
    const pipeline = createPipeline({ handlers: [missing, handler('b')], components: new Map([letter('a'), letter('b')]) });
    expect((await pipeline?.run(request, last))?.body).toBe('/bb');
  });
  it('takes a component without a version for v1', async () => {
    const pipeline = createPipeline({ handlers: [handler('a'), handler('b')], components: new Map([letter('a', { version: 'v1' }), letter('b', { version: 'v2' })]) });
    expect((await pipeline?.run(request, last))?.body).toBe('/aa');
  });
  it('finds what was loaded later and forgets what has gone', async () => {
    const components = new Map<string, Loaded<HttpMiddleware>>();
    const pipeline = createPipeline({ handlers: [handler('a')], components });
    const body = async () => (await pipeline?.run(request, last))?.body;
    expect(await body()).toBe('/');
    components.set(...letter('a'));
    expect(await body()).toBe('/aa');
    components.delete('a');
    expect(await body()).toBe('/');
  });
  it('warns of a missing handler when that begins, not each time', async () => {
    const said: string[] = [];
    const components = new Map<string, Loaded<HttpMiddleware>>();
    const pipeline = createPipeline({ handlers: [handler('a')], components, log: createLogger({ appId: 'a', instance: 'i', version: 'v', level: 'warn', write: (line) => void said.push(line) }) });
    const run = () => pipeline?.run(request, last);
    await run();
    await run();
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('handler a (middleware.http.x/v1) of the HTTP pipeline is passed over');
    components.set(...letter('a'));
    await run();
    components.delete('a');
    await run();
    expect(said).toHaveLength(2);
  });
  it('ends with the handler that answers', async () => {
    const refusing = loaded('no', { handle: async () => ({ status: 403, headers: [], body: null }) });
    const pipeline = createPipeline({ handlers: [handler('no')], components: new Map([refusing]) });
    expect((await pipeline?.run(request, () => Promise.reject(new Error('called'))))?.status).toBe(403);
  });
  it('does not let calls past a component that is being replaced', async () => {
    const users = createComponentUsers();
    const components = new Map([letter('a')]);
    const pipeline = createPipeline({ handlers: [handler('a')], components, during: (name, call) => users.during(() => name, call, undefined) });
    const release = users.hold('a');
    components.delete('a');
    const answer = pipeline?.run(request, last);
    await new Promise((resolve) => setTimeout(resolve, 5));
    components.set(...letter('a'));
    release();
    expect((await answer)?.body).toBe('/aa');
  });
});
