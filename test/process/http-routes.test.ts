// Every route of Dapr's HTTP API with each of its verbs, with and without components, and every error it can answer there.
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { converse, request } from '../harness/raw-http.ts';
import { type Sidecar, startApp, startSidecar } from '../harness/sidecar.ts';

const component = (name: string, type: string, metadata: Record<string, string> = {}, more: Record<string, unknown> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })), ...more } });

let app: Awaited<ReturnType<typeof startApp>>;
let mute: Server;
let full: Sidecar; // a component of each kind, and an app
let bare: Sidecar; // no component, no app
let loading: Sidecar; // still waiting for a component; a token, origins, a small limit
beforeAll(async () => {
  app = await startApp((call) => (call.target.startsWith('/dapr/') ? undefined : new Response(`${call.method} ${call.target} ${call.text()}`)));
  mute = createServer(() => {});
  const mutePort = await freePort();
  await new Promise<void>((done) => mute.listen(mutePort, '127.0.0.1', done));
  [full, bare, loading] = await Promise.all([
    startSidecar({
      resources: {
        'a.yaml': component('mem', 'state.in-memory'),
        'b.yaml': component('bus', 'pubsub.in-memory'),
        'c.yaml': component('vault', 'secretstores.local.env'),
        'd.yaml': component('out', 'bindings.http', { url: `http://127.0.0.1:${app.port}/bound` }),
        'e.yaml': component('locks', 'lock.in-memory'),
        'f.yaml': component('conf', 'configuration.in-memory', { items: '{"a":"1"}' }),
      },
      flags: [`--app-port=${app.port}`, '--max-body-size=64Ki'],
      env: { SECRET_WORD: 'swordfish' },
      waitFor: 'ready',
    }),
    startSidecar({ waitFor: 'ready' }),
    startSidecar({
      resources: { 'a.yaml': component('slow', 'state.redis', { redisHost: `127.0.0.1:${mutePort}` }, { initTimeout: '60s' }) },
      flags: ['--allowed-origins=http://here'],
      env: { DAPR_API_TOKEN: 'word' },
      waitFor: 'none',
    }),
  ]);
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
    if ((await converse(loading.ports.http, request('GET /v1.0/healthz/outbound'))).answers.length > 0) break;
  }
});
afterAll(async () => {
  await Promise.all([full?.stop(), bare?.stop(), loading?.stop('SIGKILL'), app?.stop()]);
  mute?.close();
});

type Answer = { status: number; type: string | undefined; body: string };
async function ask(sidecar: Sidecar, line: string, body?: string, headers: readonly string[] = []): Promise<Answer & { headers: Record<string, string> }> {
  const { answers } = await converse(sidecar.ports.http, request(line, body, headers));
  const [answer] = answers;
  if (answer === undefined) throw new Error(`no answer to ${line}`);
  return { status: answer.status, type: answer.headers['content-type'], body: answer.body, headers: answer.headers };
}
const plain = ({ status, type, body }: Answer): Answer => ({ status, type, body });

const none: Answer = { status: 204, type: undefined, body: '' };
const json = (status: number, body: string): Answer => ({ status, type: 'application/json', body });
const info = (reason: string, metadata: Record<string, string> | null) => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', domain: 'dapr.io', metadata, reason });
const resource = (name: string) => ({ '@type': 'type.googleapis.com/google.rpc.ResourceInfo', description: '', owner: '', resource_name: name, resource_type: 'state' });
const error = (status: number, errorCode: string, message: string, ...details: object[]) => json(status, JSON.stringify({ errorCode, message, ...(details.length > 0 ? { details } : {}) }));

const me = { appID: 'test' };
const meHere = { appID: 'test', namespace: 'default' };
const noApp = error(404, 'ERR_DIRECT_INVOKE', 'failed getting app id either from the URL path or the header dapr-app-id');
const noState = (store: string) => error(500, 'ERR_STATE_STORE_NOT_CONFIGURED', `state store ${store} is not configured`, info('DAPR_STATE_NOT_CONFIGURED', me));
const noStateToQuery = error(500, 'ERR_STATE_STORE_NOT_CONFIGURED', 'state store mem is not configured', info('DAPR_STATE_NOT_CONFIGURED', null));
const stateNotFound = (about: typeof me | null = me) => error(400, 'ERR_STATE_STORE_NOT_FOUND', 'state store nope is not found', info('DAPR_STATE_NOT_FOUND', about));
const noQueries = error(500, 'ERR_STATE_STORE_NOT_SUPPORTED', 'state store does not support querying', resource('mem'), info('DAPR_STATE_QUERYING_NOT_SUPPORTED', null));
const noSecrets = error(500, 'ERR_SECRET_STORES_NOT_CONFIGURED', 'secret store is not configured');
const secretsNotFound = error(401, 'ERR_SECRET_STORE_NOT_FOUND', 'failed finding secret store with key nope');
const busNotFound = (name: string) => error(404, 'ERR_PUBSUB_NOT_FOUND', `pubsub ${name} is not found`, info('DAPR_PUBSUB_NOT_FOUND', {}));
const noBinding = (name: string) => error(500, 'ERR_INVOKE_OUTPUT_BINDING', `error invoking output binding ${name}: couldn't find output binding ${name}`);
const noPlacement = error(400, 'ERR_ACTOR_NO_PLACEMENT', 'placement service is not configured');
const noConfiguration = error(500, 'ERR_CONFIGURATION_STORE_NOT_CONFIGURED', 'configuration stores not configured');
const configurationNotFound = error(400, 'ERR_CONFIGURATION_STORE_NOT_FOUND', 'configuration store nope not found');
const noLocks = error(500, 'ERR_LOCK_STORE_NOT_CONFIGURED', 'lock store is not configured');
const locksNotFound = error(400, 'ERR_LOCK_STORE_NOT_FOUND', 'lock store nope not found');
const noCrypto = error(500, 'ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED', 'crypto providers not configured');
const noConversation = error(400, 'ERR_CONVERSATION_NOT_FOUND', 'failed finding conversation component x');
const unimplemented = error(501, 'ERR_API_UNIMPLEMENTED', 'this API is currently not implemented');
const noScheduler = (verb: 'schedule' | 'get' | 'delete') => error(500, `DAPR_SCHEDULER_${verb.toUpperCase()}_JOB`, `failed to ${verb} job due to: scheduler clients are disabled`, info(`DAPR_SCHEDULER_${verb.toUpperCase()}_JOB`, meHere));
const malformed = (message: string) => error(400, 'ERR_MALFORMED_REQUEST', message);
const noAppHere = error(500, 'ERR_DIRECT_INVOKE', 'failed to invoke, id: test, err: cannot invoke local endpoint: app channel not initialized');

/** What the route answers with components, without them, and (where a component is named) with another one than there is. */
type Route = [verbs: string, path: string, body: string | undefined, full: Answer | RegExp, bare: Answer | RegExp, unknown?: [path: string, Answer]];
const lock = '{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}';
const versions = (all: string[], routes: (version: string) => Route[]) => all.flatMap(routes);
const routes: Route[] = [
  ['POST PUT', '/v1.0/state/mem', '[{"key":"a","value":1}]', none, noState('mem'), ['/v1.0/state/nope', stateNotFound()]],
  ['GET', '/v1.0/state/mem/a', undefined, json(200, '1'), noState('mem'), ['/v1.0/state/nope/a', stateNotFound()]],
  ['POST PUT', '/v1.0/state/mem/bulk', '{"keys":["b"]}', json(200, '[{"key":"b"}]\n'), noState('mem'), ['/v1.0/state/nope/bulk', stateNotFound()]],
  ['POST PUT', '/v1.0/state/mem/transaction', '{"operations":[{"operation":"upsert","request":{"key":"a","value":2}}]}', none, noState('mem'), ['/v1.0/state/nope/transaction', stateNotFound()]],
  ['DELETE', '/v1.0/state/mem/a', undefined, none, noState('mem'), ['/v1.0/state/nope/a', stateNotFound()]],
  ['POST PUT', '/v1.0-alpha1/state/mem/query', '{}', noQueries, noStateToQuery, ['/v1.0-alpha1/state/nope/query', stateNotFound(null)]],
  ['GET', '/v1.0/secrets/vault/SECRET_WORD', undefined, json(200, '{"SECRET_WORD":"swordfish"}\n'), noSecrets, ['/v1.0/secrets/nope/a', secretsNotFound]],
  ['GET', '/v1.0/secrets/vault/bulk', undefined, /"SECRET_WORD":\{"SECRET_WORD":"swordfish"\}.*\n$/, noSecrets, ['/v1.0/secrets/nope/bulk', secretsNotFound]],
  ['POST PUT', '/v1.0/publish/bus/t', '{}', none, busNotFound('bus'), ['/v1.0/publish/nope/t/u', busNotFound('nope')]],
  ...versions(['v1.0', 'v1.0-alpha1'], (v): Route[] => [
    ['POST PUT', `/${v}/publish/bulk/bus/t`, '[{"entryId":"1","event":"a","contentType":"text/plain"}]', none, busNotFound('bus'), [`/${v}/publish/bulk/nope/t`, busNotFound('nope')]],
    ['GET', `/${v}/configuration/conf?key=a`, undefined, json(200, '{"a":{"value":"1"}}\n'), noConfiguration, [`/${v}/configuration/nope`, configurationNotFound]],
    ['GET', `/${v}/configuration/conf/subscribe?key=a`, undefined, /^\{"id":"[^"]+"\}\n$/, noConfiguration, [`/${v}/configuration/nope/subscribe`, configurationNotFound]],
    ['GET', `/${v}/configuration/conf/xyz/unsubscribe`, undefined, json(500, '{"message":"failed to unsubscribe to configuration request xyz: subscription with id xyz does not exist"}\n'), noConfiguration, [`/${v}/configuration/nope/xyz/unsubscribe`, configurationNotFound]],
    ['POST', `/${v}/jobs/j`, '{"dueTime":"1s"}', noScheduler('schedule'), noScheduler('schedule')],
    ['GET', `/${v}/jobs/j`, undefined, noScheduler('get'), noScheduler('get')],
    ['DELETE', `/${v}/jobs/j`, undefined, noScheduler('delete'), noScheduler('delete')],
  ]),
  ...versions(['v1.0', 'v1.0-beta1', 'v1.0-alpha1'], (v): Route[] => [
    ['GET', `/${v}/workflows/dapr/i`, undefined, noPlacement, noPlacement],
    ['POST', `/${v}/workflows/dapr/W/start?instanceID=i`, 'any text', noPlacement, noPlacement],
    ['POST', `/${v}/workflows/dapr/i/raiseEvent/e`, '{', noPlacement, noPlacement],
    ...['pause', 'resume', 'terminate', 'purge'].map((what): Route => ['POST', `/${v}/workflows/dapr/i/${what}`, undefined, noPlacement, noPlacement]),
  ]),
  ['POST PUT', '/v1.0/actors/T/1/state', '[]', noPlacement, noPlacement],
  ['GET', '/v1.0/actors/T/1/state/k', undefined, noPlacement, noPlacement],
  ['GET POST PUT DELETE', '/v1.0/actors/T/1/method/m', '', noPlacement, noPlacement],
  ['POST PUT', '/v1.0/actors/T/1/reminders/r', '{"dueTime":"1s"}', noPlacement, noPlacement],
  ['GET DELETE', '/v1.0/actors/T/1/reminders/r', undefined, noPlacement, noPlacement],
  ['POST PUT', '/v1.0/actors/T/1/timers/r', '{"dueTime":"1s"}', noPlacement, noPlacement],
  ['DELETE', '/v1.0/actors/T/1/timers/r', undefined, noPlacement, noPlacement],
  ['GET POST PUT PATCH DELETE OPTIONS', '/v1.0/invoke/test/method/a', undefined, /^[A-Z]+ \/a $/, noAppHere],
  ['GET', '/v1.0/metadata', undefined, /^\{"id":"test",.*\}\n$/, /^\{"id":"test",.*\}\n$/],
  ['PUT', '/v1.0/metadata/k', 'not JSON', none, none],
  ['POST PUT', '/v1.0/bindings/out', '{"operation":"post","data":"x"}', json(200, 'POST /bound "x"'), noBinding('out'), ['/v1.0/bindings/nope', noBinding('nope')]],
  ...['getkey', 'encrypt', 'decrypt', 'wrapkey', 'unwrapkey', 'sign', 'verify'].map((what): Route => ['POST', `/v1.0-alpha1/subtlecrypto/x/${what}`, '{}', unimplemented, unimplemented]),
  ...['encrypt', 'decrypt'].map((what): Route => ['PUT', `/v1.0-alpha1/crypto/x/${what}`, 'text', noCrypto, noCrypto]),
  ...['alpha1', 'alpha2'].map((v): Route => ['POST', `/v1.0-${v}/conversation/x/converse`, '{}', noConversation, noConversation]),
  ['GET', '/v1.0/healthz', undefined, none, none],
  ['GET', '/v1.0/healthz/outbound', undefined, none, none],
  ['POST', '/v1.0-alpha1/lock/locks', lock, json(200, '{"success":true}'), noLocks, ['/v1.0-alpha1/lock/nope', locksNotFound]],
  ['POST', '/v1.0-alpha1/unlock/locks', lock, json(200, '{"status":0}'), noLocks, ['/v1.0-alpha1/unlock/nope', locksNotFound]],
];
/** All but `POST /v1.0/shutdown`, which comes last. */
const calls = routes.flatMap(([verbs, path, body, ...answers]) => verbs.split(' ').map((verb) => ({ line: `${verb} ${path}`, body, answers })));

const expectAnswer = (got: Answer, wanted: Answer | RegExp) => {
  if (!(wanted instanceof RegExp)) return expect(plain(got)).toEqual(wanted);
  expect(got.status).toBe(200);
  expect(got.body).toMatch(wanted);
};

describe('each route', () => {
  test.each(calls)('$line', async ({ line, body, answers: [withAll, without, unknown] }) => {
    expectAnswer(await ask(full, line, body), withAll);
    expectAnswer(await ask(bare, line, body), without);
    if (unknown) expectAnswer(await ask(full, `${line.split(' ')[0]} ${unknown[0]}`, body), unknown[1]);
  });
  test('the table has all of the 90 pairs of route and verb, `any` counted as six', () => expect(calls.length).toBe(90));

  test('no other verb and no other version finds one: 404 without a name, the app with one', async () => {
    const served = new Set(calls.map(({ line }) => line.replace(/\?.*/, '')));
    // what another route takes, with other words in it: a key `bulk`, a topic `bus`
    const others = (line: string) => /^(GET|DELETE) \/v1\.0\/state\/mem\/(bulk|transaction)$|^(POST|PUT) \/v1\.0\/state\/mem\/\w+\/\w+$/.test(line);
    const paths = [...new Set(calls.map(({ line }) => (line.split(' ')[1] ?? '').replace(/\?.*/, '')))].filter((path) => !path.includes('/invoke/'));
    const wrong = paths.flatMap((path) => ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((verb) => `${verb} ${path}`)).filter((line) => !served.has(line) && !others(line));
    expect(wrong.length).toBeGreaterThan(200);
    const lines = [...wrong, 'GET /v2.0/state/mem/a', 'GET /v1.0-alpha2/state/mem/a', 'POST /v1.0/state/mem/query', 'POST /v1.0/lock/locks', 'POST /v1.0-alpha2/workflows/dapr/W/start', 'GET /V1.0/metadata', 'GET /', 'POST /v1.0/publish/bus', 'POST /v1.0/publish//t', 'PUT /v1.0/metadata/'];
    await Promise.all(lines.map(async (line) => {
      expect([line, plain(await ask(full, line))]).toEqual([line, noApp]);
    }));
    for (const line of lines.slice(0, 20)) {
      for (const header of ['dapr-app-id: test', `Authorization: Basic ${btoa('dapr-app-id:test')}`]) {
        expect([line, (await ask(full, line, undefined, [header])).body]).toEqual([line, `${line} `]);
      }
    }
  });
  test('HEAD is no GET', async () => {
    const head = (headers: Record<string, string>) => fetch(`${full.http}/v1.0/healthz`, { method: 'HEAD', headers });
    expect((await head({})).status).toBe(404);
    expect((await head({ 'dapr-app-id': 'test' })).status).toBe(200);
  });
  test('a route that there is wins over the header', async () => {
    expect(plain(await ask(full, 'GET /v1.0/state/mem/none', undefined, ['dapr-app-id: test']))).toEqual(none);
  });
});

describe('errors', () => {
  type Row = [line: string, body: string | undefined, answer: Answer, headers?: string[]];
  const rows: Row[] = [
    // the store comes before the body
    ['POST /v1.0/state/nope', '', stateNotFound()],
    ['POST /v1.0/state/nope/bulk', '', stateNotFound()],
    ['POST /v1.0/state/nope/transaction', '{', stateNotFound()],
    ['POST /v1.0/state/mem', '', malformed('EOF')],
    ['POST /v1.0/state/mem', '[{"value":1}]', malformed('"key" is a required field')],
    ['POST /v1.0/state/mem/bulk', '', malformed('failed deserializing HTTP body: EOF')],
    ['POST /v1.0/state/mem/transaction', '', malformed('failed deserializing HTTP body: EOF')],
    ['POST /v1.0/bindings/out', '', malformed('failed deserializing HTTP body: EOF')],
    ['POST /v1.0/state/mem/transaction', '{"operations":[{"operation":"Upsert","request":{"key":"a"}}]}', error(400, 'ERR_NOT_SUPPORTED_STATE_OPERATION', 'operation type Upsert not supported')],
    ['GET /v1.0/healthz?appid=x', undefined, error(500, 'ERR_HEALTH_APPID_NOT_MATCH', 'dapr app-id does not match')],
    ['GET /v1.0/healthz?appid=', undefined, error(500, 'ERR_HEALTH_APPID_NOT_MATCH', 'dapr app-id does not match')],
    ['GET /v1.0/healthz?appid=test', undefined, none],
    // locks: the expiry, the resource, the owner, the store, the key, in this order
    ['POST /v1.0-alpha1/lock/nope', '', malformed('ExpiryInSeconds is not positive in lock store nope')],
    ['POST /v1.0-alpha1/lock/nope', '{"expiryInSeconds":-1,"resourceId":"r"}', malformed('ExpiryInSeconds is not positive in lock store nope')],
    ['POST /v1.0-alpha1/lock/nope', '{"expiryInSeconds":1,"lockOwner":"o"}', malformed('ResourceId is empty in lock store nope')],
    ['POST /v1.0-alpha1/lock/nope', '{"expiryInSeconds":1,"resourceId":"r"}', malformed('LockOwner is empty in lock store nope')],
    ['POST /v1.0-alpha1/lock/nope', '{"expiryInSeconds":1,"resourceId":"a||b","lockOwner":"o"}', locksNotFound],
    ['POST /v1.0-alpha1/lock/locks', '{"expiryInSeconds":1,"resourceId":"a||b","lockOwner":"o"}', error(500, 'ERR_TRY_LOCK', "failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'")],
    ['POST /v1.0-alpha1/lock/locks', '{"resourceId":"r","lockOwner":"o","expiryInSeconds":1.5}', malformed('failed deserializing HTTP body: proto: (line 1:53): invalid value for int32 field expiryInSeconds: 1.5')],
    ['POST /v1.0-alpha1/unlock/nope', '', malformed('ResourceId is empty in lock store nope')],
    ['POST /v1.0-alpha1/unlock/nope', '{"resourceId":"r"}', malformed('LockOwner is empty in lock store nope')],
    ['POST /v1.0-alpha1/unlock/locks', '{"resourceId":"a||b","lockOwner":"o"}', error(500, 'ERR_UNLOCK', "failed to release lock: input key/keyPrefix 'a||b' can't contain '||'")],
    ['POST /v1.0-alpha1/unlock/locks', '{"resourceId":"never","lockOwner":"o"}', json(200, '{"status":1}')],
    // jobs
    ['POST /v1.0/jobs/j', '{"name":"x"}', error(400, 'DAPR_SCHEDULER_JOB_NAME', 'Set the job name in the url only', info('DAPR_SCHEDULER_JOB_NAME', me))],
    ['POST /v1.0/jobs/+', '{"dueTime":"1s"}', error(400, 'DAPR_SCHEDULER_JOB_NAME_EMPTY', 'Name is empty', info('DAPR_SCHEDULER_JOB_NAME_EMPTY', meHere))],
    ['POST /v1.0/jobs/j', '', error(400, 'DAPR_SCHEDULER_SCHEDULE_EMPTY', 'Schedule is empty', info('DAPR_SCHEDULER_SCHEDULE_EMPTY', meHere))],
    ['POST /v1.0/jobs/j', '{"schedule":"","extra":1}', noScheduler('schedule')],
    ['POST /v1.0/jobs/j', '{"dueTime":1}', malformed('failed deserializing HTTP body: proto: (line 1:12): invalid value for string field dueTime: 1')],
    ['DELETE /v1.0/jobs/j', '{', noScheduler('delete')],
  ];
  test.each(rows)('%s %s', async (line, body, answer, headers = []) => {
    expectAnswer(await ask(full, line, body, headers), answer);
  });
  const messages = ['POST /v1.0/workflows/dapr/i/pause', 'POST /v1.0-alpha1/conversation/x/converse', 'POST /v1.0-alpha1/subtlecrypto/x/sign', 'DELETE /v1.0/actors/T/1/timers/r', 'DELETE /v1.0/actors/T/1/reminders/r', 'POST /v1.0/jobs/j', 'POST /v1.0-alpha1/lock/locks'];
  // elsewhere the body of a GET cannot be read
  const onNode = (process.env.OUTRIGGER_RUNTIME ?? 'node') !== 'node' ? [] : ['GET /v1.0/workflows/dapr/i', 'GET /v1.0/metadata', 'GET /v1.0/secrets/vault/SECRET_WORD', 'GET /v1.0/secrets/nope/bulk'];
  test.each([...messages, ...onNode])('a body that is no message: %s', async (line) => {
    for (const body of ['null', '[]', '{', '{} x']) {
      const answer = await ask(full, line, body);
      expect([body, answer.status, answer.type]).toEqual([body, 400, 'application/json']);
      expect(answer.body).toMatch(/^\{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: [^"]/);
    }
  });
  test.each(['POST /v1.0/actors/T/1/state', 'PUT /v1.0/actors/T/1/reminders/r', 'PUT /v1.0/actors/T/1/timers/r'])('a body that is no JSON or another value: %s', async (line) => {
    expectAnswer(await ask(full, line, ''), malformed('failed deserializing HTTP body: EOF'));
    for (const body of ['{', '"x"']) expect(JSON.parse((await ask(full, line, body)).body)).toMatchObject({ errorCode: 'ERR_MALFORMED_REQUEST' });
  });
  test('a body above the limit: how it is read decides', async () => {
    const big = 'x'.repeat(70_000);
    for (const line of ['POST /v1.0/workflows/dapr/W/start', 'POST /v1.0/workflows/dapr/i/raiseEvent/e', 'POST /v1.0-alpha1/conversation/x/converse', 'POST /v1.0-alpha1/subtlecrypto/x/sign', 'POST /v1.0/jobs/j', 'POST /v1.0-alpha1/lock/locks', 'POST /v1.0-alpha1/state/mem/query', 'PUT /v1.0/metadata/big']) {
      expect([line, plain(await ask(full, line, big))]).toEqual([line, error(400, 'ERR_BODY_READ', 'failed to read request body: stream too large')]);
    }
    expectAnswer(await ask(full, 'POST /v1.0/actors/T/1/state', `"${big}"`), malformed('failed deserializing HTTP body: stream too large'));
    expectAnswer(await ask(full, 'PUT /v1.0-alpha1/crypto/x/encrypt', big), noCrypto);
  });
  test('an illegal key, with all that is empty in its details', async () => {
    const text = "api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'";
    const violation = { '@type': 'type.googleapis.com/google.rpc.BadRequest', field_violations: [{ field: 'a||b', description: text }] };
    expect(plain(await ask(full, 'GET /v1.0/state/mem/a%7C%7Cb'))).toEqual(error(400, 'ERR_MALFORMED_REQUEST', text, violation, resource('mem'), info('DAPR_STATE_ILLEGAL_KEY', null)));
  });
});

describe('what is easily got wrong', () => {
  test('a plus in the path is a blank; an unknown field, null metadata and bytes behind the value are nothing', async () => {
    expect(plain(await ask(full, 'POST /v1.0/state/mem', '[{"key":"p lus","value":"v","zzz":2,"metadata":null}] trailing'))).toEqual(none);
    for (const key of ['p+lus', 'p%20lus']) expect(plain(await ask(full, `GET /v1.0/state/mem/${key}`))).toEqual(json(200, '"v"'));
    expect(plain(await ask(full, 'GET /v1.0/state/mem/p%2Blus'))).toEqual(none);
  });
  test('an etag has no quotes, neither coming nor going; 409 alone, 500 in a transaction', async () => {
    await ask(full, 'POST /v1.0/state/mem', '[{"key":"tagged","value":1}]');
    const etag = (await ask(full, 'GET /v1.0/state/mem/tagged')).headers.etag ?? '';
    expect(etag).toMatch(/^[^"/]+$/);
    const refused = await ask(full, 'DELETE /v1.0/state/mem/tagged', undefined, [`If-Match: "${etag}"`]);
    expect([refused.status, JSON.parse(refused.body).errorCode]).toEqual([409, 'ERR_STATE_DELETE']);
    const save = await ask(full, 'POST /v1.0/state/mem', '[{"key":"tagged","value":2,"etag":"99"}]');
    expect([save.status, JSON.parse(save.body).errorCode]).toEqual([409, 'ERR_STATE_SAVE']);
    const transaction = await ask(full, 'POST /v1.0/state/mem/transaction', '{"operations":[{"operation":"upsert","request":{"key":"tagged","value":2,"etag":"99"}}],"metadata":null}');
    expect([transaction.status, transaction.body]).toEqual([500, expect.stringMatching(/^\{"errorCode":"ERR_STATE_TRANSACTION","message":"error while executing state transaction: possible etag mismatch\. error from state store: /)]);
    expect(plain(await ask(full, 'DELETE /v1.0/state/mem/tagged', undefined, [`If-Match: ${etag}`]))).toEqual(none);
  });
  test('a lock that another one has is `false`, its status a number', async () => {
    const take = (owner: string) => ask(full, 'POST /v1.0-alpha1/lock/locks', `{"resource_id":"q","lock_owner":"${owner}","expiry_in_seconds":"60","unknown":1}`);
    expect([(await take('a')).body, (await take('b')).body]).toEqual(['{"success":true}', '{"success":false}']);
    expect(plain(await ask(full, 'POST /v1.0-alpha1/unlock/locks', '{"resourceId":"q","lockOwner":"b"}'))).toEqual(json(200, '{"status":2}'));
  });
  test('the end of a subscription is a GET, and says ok', async () => {
    const { id } = JSON.parse((await ask(full, 'GET /v1.0/configuration/conf/subscribe?key=a')).body) as { id: string };
    expect(plain(await ask(full, `GET /v1.0/configuration/conf/${id}/unsubscribe`))).toEqual(json(200, '{"ok":true}\n'));
  });
  test('the metadata have no scheduler where there is none, nor a list that is empty', async () => {
    expect(Object.keys(JSON.parse((await ask(bare, 'GET /v1.0/metadata')).body))).toEqual(['id', 'runtimeVersion', 'enabledFeatures', 'extended', 'appConnectionProperties', 'actorRuntime']);
  });
});

describe('while components load, with a token and origins', () => {
  const token = 'dapr-api-token: word';
  test('health needs no token, says no with 500 and why', async () => {
    expect(plain(await ask(loading, 'GET /v1.0/healthz/outbound'))).toEqual(error(500, 'ERR_OUTBOUND_HEALTH_NOT_READY', 'dapr outbound is not ready'));
    const { status, type, body } = await ask(loading, 'GET /v1.0/healthz/');
    expect([status, type, body]).toEqual([500, 'application/json', expect.stringMatching(/^\{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: \[[a-z -]+\]"\}$/)]);
  });
  test.each(['GET /v1.0/metadata', 'GET /nowhere', 'PUT /v1.0/metadata/k', 'POST /v1.0/healthz', 'GET /v1.0/healthz/other'])('%s needs the token, and says so in plain text', async (line) => {
    for (const headers of [[], ['dapr-api-token: Word'], ['dapr-api-token: ']]) {
      const answer = await ask(loading, line, undefined, headers);
      expect(plain(answer)).toEqual({ status: 401, type: 'text/plain; charset=utf-8', body: 'invalid api token\n' });
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    }
  });
  test('with the token the metadata are there', async () => expect((await ask(loading, 'GET /v1.0/metadata', undefined, [token])).status).toBe(200));
  test('CORS decorates and never blocks; a preflight is 200, of any path, without a token', async () => {
    const from = async (origin: string, line = 'GET /v1.0/metadata', headers = [token]) => {
      const answer = await ask(loading, line, undefined, [`Origin: ${origin}`, ...headers]);
      return [answer.status, answer.headers['access-control-allow-origin'], answer.headers.vary];
    };
    expect(await from('http://here')).toEqual([200, 'http://here', 'Origin']);
    expect(await from('http://there')).toEqual([200, undefined, 'Origin']);
    expect(await from('http://here', 'GET /v1.0/metadata', [])).toEqual([401, 'http://here', 'Origin']);
    const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
    const preflight = ['Access-Control-Request-Method: PUT'];
    expect(await from('http://here', 'OPTIONS /any/where', preflight)).toEqual([200, 'http://here', vary]);
    expect(await from('http://there', 'OPTIONS /any/where', preflight)).toEqual([200, undefined, vary]);
  });
});

test('POST /v1.0/shutdown answers 204 and ends the process with 0; other verbs end nothing', async () => {
  for (const verb of ['GET', 'PUT', 'DELETE']) expect(plain(await ask(bare, `${verb} /v1.0/shutdown`))).toEqual(noApp);
  expect(plain(await ask(bare, 'POST /v1.0/shutdown', 'anything'))).toEqual(none);
  expect(await bare.exited).toMatchObject({ code: 0 });
});
