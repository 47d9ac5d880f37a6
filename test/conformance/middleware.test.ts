// The HTTP middleware components by their rules, with a real issuer of tokens beside those that need one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp } from '../harness/app.ts';
import { openMiddleware } from './middleware.ts';
import { code, type ModuleText, wasmModule } from './wasm-module.ts';

const refused = (name: string, metadata: Record<string, string>) => openMiddleware(name, metadata).then(() => 'opened', (error: Error) => error.message);

describe('middleware.http.uppercase', () => {
  it('changes the request by default', async () => {
    const { text, passed } = await (await openMiddleware('uppercase', {}))('/x', { method: 'POST', body: 'straße é' });
    expect([text, passed?.body]).toEqual(['Hello World', 'STRAßE É']);
  });
  it.each([['response', 'HELLO WORLD', 'abc'], ['BOTH', 'HELLO WORLD', 'ABC'], ['nonsense', 'Hello World', 'ABC']])('%s', async (direction, answer, body) => {
    const { text, passed } = await (await openMiddleware('uppercase', { direction }))('/x', { method: 'POST', body: 'abc' });
    expect([text, passed?.body]).toEqual([answer, body]);
  });
});

describe('middleware.http.routerchecker', () => {
  it('looks at the escaped path and the query', async () => {
    const ask = await openMiddleware('routerchecker', { rule: '^[A-Za-z0-9/._-]+$' });
    expect((await ask('/v1.0/a')).passed?.target).toBe('/v1.0/a');
    for (const target of ['/a?x=1', '/a%20b', '/a?']) expect(await ask(target)).toMatchObject({ status: 400, text: 'invalid router', passed: undefined });
  });
  it('lets everything through without a rule', async () => expect((await (await openMiddleware('routerchecker', {}))('/x?y')).status).toBe(200));
  it('wants a regular expression', async () => expect(await refused('routerchecker', { rule: '(' })).toBe('failed to compile rule regexp: error parsing regexp: missing closing ): `(`'));
});

describe('middleware.http.routeralias', () => {
  const routes = JSON.stringify({ '/v1.0/mall': '/v1.0/invoke/shop/method/mall', '/x/{id}/info': '/y z', '/n/{n:[0-9]+}': '/num', '/odd': '/a?b', noslash: '/never', '/b/{x': '/never' });
  it.each([
    ['/v1.0/mall?a=1', '/v1.0/invoke/shop/method/mall?a=1'], ['/x/7/info?b=2&a=1', '/y%20z?a=1&b=2&id=7'], ['/x/a%20b/info', '/y%20z?id=a+b'], ['/n/12', '/num?n=12'], ['/n/ab', '/n/ab'], ['/odd', '/a%3Fb'], ['/noslash', '/noslash'], ['/v1.0/mall/', '/v1.0/mall/'],
  ])('%s becomes %s', async (target, expected) => expect((await (await openMiddleware('routeralias', { routes }))(target)).passed?.target).toBe(expected));
  it('reads YAML and the old form', async () => {
    expect((await (await openMiddleware('routeralias', { routes: '/a: /b\n' }))('/a')).passed?.target).toBe('/b');
    expect((await (await openMiddleware('routeralias', { '/a': '/b', '/A': '/c' }))('/A')).passed?.target).toBe('/c');
  });
  it('refuses what is no list of routes', async () => {
    expect(await refused('routeralias', { routes: '[1]' })).toMatch(/^failed to decode 'routes' property as JSON or YAML: /);
    expect(await refused('routeralias', { '/a': '', '/b': '/c' })).toBe('invalid key/value pair in metadata: must not be empty');
    expect(await refused('routeralias', { routes: '{"/{a:(x)}": "/b"}' })).toContain('capture groups');
  });
});

describe('middleware.http.ratelimit', () => {
  it('counts for each client and path, and says so', async () => {
    const ask = await openMiddleware('ratelimit', { maxRequestsPerSecond: '0.001' });
    const first = await ask('/a');
    expect([first.status, first.header('X-Rate-Limit-Limit'), first.header('X-Rate-Limit-Duration'), first.header('X-Rate-Limit-Request-Remote-Addr'), first.header('RateLimit-Limit'), first.header('RateLimit-Reset'), first.header('RateLimit-Remaining')]).toEqual([200, '0.00', '1', '127.0.0.1:5000', '0', '1', '0']);
    expect(await ask('/a?x=1', { method: 'POST' })).toMatchObject({ status: 429, text: 'You have reached maximum request limit.', passed: undefined });
    expect((await ask('/b')).status).toBe(200);
    expect((await ask('/a', { headers: ['X-Real-IP', '203.0.113.9'] })).status).toBe(200);
    expect((await ask('/a', { headers: ['X-Forwarded-For', '203.0.113.1, 203.0.113.9'] })).status).toBe(429);
    expect((await ask('/a', { remoteAddress: '[2001:db8::1]:1' })).status).toBe(200);
    expect((await ask('/a', { remoteAddress: '[2001:db8::2]:1' })).status).toBe(429);
  });
  it('gives callers without an address one, and shows it', async () => {
    const { passed, header } = await (await openMiddleware('ratelimit', {}))('/a', { remoteAddress: '' });
    expect([passed?.header('x-forwarded-for'), header('x-rate-limit-request-forwarded-for')]).toEqual(['0.0.0.0', '0.0.0.0']);
  });
  it('allows bursts and refills', async () => {
    const ask = await openMiddleware('ratelimit', { maxRequestsPerSecond: '50.9' });
    const statuses = (await Promise.all(Array.from({ length: 60 }, () => ask('/a')))).map(({ status }) => status);
    expect(statuses.slice(0, 50)).toEqual(Array(50).fill(200));
    expect(statuses).toContain(429);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await ask('/a')).status).toBe(200);
  });
  it.each([['0', 'must be a positive value'], ['-1', 'must be a positive value'], ['', 'must be a positive value'], ['fast', "cannot parse 'MaxRequestsPerSecond' as float: strconv.ParseFloat: parsing \"fast\": invalid syntax"]])('refuses %j', async (maxRequestsPerSecond, why) => expect(await refused('ratelimit', { maxRequestsPerSecond })).toContain(why));
});

describe('middleware.http.sentinel', () => {
  const open = (rules: Record<string, unknown>) => openMiddleware('sentinel', Object.fromEntries(Object.entries(rules).map(([name, list]) => [name, JSON.stringify(list)])));
  it('limits the requests of a resource', async () => {
    const ask = await open({ flowRules: [{ Resource: 'GET:/a b', threshold: 2, statIntervalInMs: 60_000 }, { resource: 'GET:/closed' }] });
    const statuses = [await ask('/a%20b'), await ask('/a%20b?x'), await ask('/a%20b'), await ask('/a%20b', { method: 'POST' }), await ask('/closed')].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429, 200, 429]);
    expect(await ask('/closed')).toMatchObject({ text: 'Too Many Requests', passed: undefined });
  });
  it('spaces requests and lets them wait', async () => {
    const ask = await open({ flowRules: [{ resource: 'GET:/t', threshold: 20, controlBehavior: 1, maxQueueingTimeMs: 60 }] });
    const began = Date.now();
    const statuses = (await Promise.all([1, 2, 3].map(() => ask('/t')))).map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(45);
  });
  it('opens a breaker on slow answers and tries again later', async () => {
    const ask = await open({ circuitBreakerRules: [{ resource: 'GET:/s', strategy: 0, retryTimeoutMs: 100, minRequestAmount: 1, statIntervalMs: 5000, maxAllowedRtMs: 0, threshold: 0 }] });
    expect([(await ask('/s')).status, (await ask('/s')).status]).toEqual([200, 429]);
    await new Promise((resolve) => setTimeout(resolve, 130));
    expect((await ask('/s')).status).toBe(200);
  });
  it('passes over rules that Sentinel finds invalid, and hot spots', async () => expect((await (await open({ flowRules: [{ threshold: 0 }], hotSpotParamRules: [{ resource: 'GET:/a', threshold: 0 }] }))('/a')).status).toBe(200));
  it.each([
    ['{"a"', 'fail to load sentinel flow rules \'{"a"\': Fail to convert source bytes to []*flow.Rule, err: unexpected end of JSON input'],
    ['{}', 'json: cannot unmarshal object into Go value of type []*flow.Rule'],
    ['[{"resource":"a","tokenCalculateStrategy":2}]', 'not measured'],
  ])('refuses %s', async (flowRules, why) => expect(await refused('sentinel', { flowRules })).toContain(why));
  it('refuses rules on the load of the machine', async () => expect(await refused('sentinel', { systemRules: '[{"metricType":0,"triggerCount":1}]' })).toContain('not measured'));
});

describe('middleware.http.opa', () => {
  const open = (rego: string, more = {}) => openMiddleware('opa', { rego: `package http\n${rego}`, ...more });
  it('shows the policy the request', async () => {
    const ask = await open('allow = {"allow": true, "additional_headers": {"x-seen": json.marshal(input)}}', { includedHeaders: 'x-a, HOST', readBody: 'true' });
    const { passed } = await ask('/a%20b/c/?q=1&q=2&e=', { method: 'POST', headers: ['Host', 'h', 'X-A', '1', 'x-a', '2', 'X-B', 'hidden'], body: 'body' });
    expect(passed?.body).toBe('body');
    expect(JSON.parse(passed?.header('x-seen') ?? '')).toEqual({ request: { method: 'POST', path: '/a b/c/', path_parts: ['a b', 'c'], raw_query: 'q=1&q=2&e=', query: { q: ['1', '2'], e: [''] }, headers: { 'X-A': '1, 2' }, scheme: '', body: 'body' } });
  });
  it.each([
    ['allow = false', 403, undefined], ['allow = {"allow": false}', 403, undefined], ['allow = {}', 403, undefined], ['allow = {"status_code": 418}', 418, undefined], ['allow = {"status_code": 299}', 500, undefined], ['allow = {"status_code": null}', 403, undefined],
    ['allow = 1', 403, 'true'], ['deny = 1', 403, 'true'], ['allow = {"status_code": "400"}', 403, 'true'], ['allow = true\nallow = false { true }', 403, 'true'], ['allow = {"allow": true, "additional_headers": {"x": 1}}', 403, 'true'],
  ])('%s', async (rego, status, error) => {
    const asked = await (await open(rego))('/');
    expect([asked.status, asked.header('x-dapr-opa-error'), asked.passed]).toEqual([status, error, undefined]);
  });
  it('gives a refusal its headers and a request those it is to have', async () => {
    expect((await (await open('allow = {"status_code": 301, "additional_headers": {"location": "/l"}}'))('/')).header('Location')).toBe('/l');
    expect((await (await open('allow = {"allow": true, "additional_headers": {"X-A": "new"}}'))('/', { headers: ['x-a', 'old'] })).passed?.header('x-a')).toBe('new');
  });
  it('has a status of its own', async () => expect((await (await open('allow = false', { defaultStatus: '404' }))('/')).text).toBe('Not Found'));
  it('refuses everything with a policy of another package', async () => expect((await (await openMiddleware('opa', { rego: 'package other\nallow = true' }))('/')).status).toBe(403));
  it.each([[{ rego: '' }, 'inline.rego:0: rego_parse_error: empty module'], [{ rego: 'package http', defaultStatus: 'abc' }, "cannot parse 'defaultStatus' as int"]])('refuses %j', async (metadata, why) => expect(await refused('opa', metadata)).toContain(why));
});

describe('tokens', () => {
  let idp: Awaited<ReturnType<typeof startApp>>;
  let base = '';
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let jwks: unknown[] = [];
  beforeAll(async () => {
    keys = await generateKeyPair('ES256', { extractable: true });
    jwks = [{ ...(await exportJWK(keys.publicKey)), kid: 'k1' }];
    let count = 0;
    idp = await startApp(({ target, header, text }) => {
      if (target === '/.well-known/openid-configuration') return Response.json({ issuer: base, jwks_uri: `${base}/jwks` });
      if (target === '/jwks') return Response.json({ keys: jwks });
      if (target === '/token') return Response.json({ access_token: `t${++count}`, token_type: 'bearer', expires_in: 3600 });
      if (target === '/form-only') return header('authorization') || !text().includes('client_secret=s') ? Response.json({ error: 'invalid_client' }, { status: 401 }) : new Response('access_token=f&token_type=MAC', { headers: { 'content-type': 'application/x-www-form-urlencoded' } });
      return undefined;
    });
    base = `http://127.0.0.1:${idp.port}`;
  });
  afterAll(() => idp.stop());
  const token = (claims: Record<string, unknown> = {}, header: Record<string, string> = { kid: 'k1' }) => new SignJWT({ iss: base, aud: 'me', exp: Math.floor(Date.now() / 1000) + 60, ...claims }).setProtectedHeader({ alg: 'ES256', ...header }).sign(keys.privateKey);
  const now = () => Math.floor(Date.now() / 1000);

  describe('middleware.http.bearer', () => {
    it('lets good tokens through, bad ones not', async () => {
      const ask = await openMiddleware('bearer', { issuerURL: base, clientID: 'me' });
      const status = async (text: string) => (await ask('/', { headers: ['Authorization', text] })).status;
      const good = await token();
      for (const text of [`Bearer ${good}`, `bEARER ${good}`, `Bearer ${await token({ aud: ['you', 'me'] })}`, `Bearer ${await token({ exp: now() - 200 })}`, `Bearer ${await token({ nbf: now() + 200 })}`]) expect(await status(text)).toBe(200);
      const tampered = `${good.slice(0, -4)}AAAA`;
      for (const text of ['', good, `Basic ${good}`, 'Bearer short', `Bearer ${tampered}`, `Bearer ${await token({ aud: 'you' })}`, `Bearer ${await token({ iss: `${base}/` })}`, `Bearer ${await token({ exp: now() - 400 })}`, `Bearer ${await token({ nbf: now() + 400 })}`, `Bearer ${await token({ iat: now() + 400 })}`, `Bearer ${await token({ exp: undefined })}`, `Bearer ${await token({}, {})}`, `Bearer ${await token({}, { kid: 'k9' })}`]) expect(await status(text)).toBe(401);
      const answer = await ask('/', { headers: ['Authorization', `Bearer ${good}`] });
      expect(answer.passed?.header('authorization')).toBe(`Bearer ${good}`);
      expect(await ask('/')).toMatchObject({ status: 401, text: 'Unauthorized', passed: undefined });
    });
    it.each([
      [{}, "metadata property 'issuer' is required"], [{ issuer: 'x' }, "metadata property 'audience' is required"],
      [{ issuer: 'http://127.0.0.1:1', audience: 'a' }, 'failed to retrieve OpenID Configuration document: failed to execute request: '], [{ issuer: 'x', audience: 'a', jwksURL: 'http://127.0.0.1:1/' }, 'failed to fetch JWKS: '],
    ])('refuses %j', async (metadata, why) => expect(await refused('bearer', metadata)).toContain(why));
    it('refuses the document of another issuer', async () => expect(await refused('bearer', { issuer: `${base}/`, audience: 'a' })).toContain("doesn't match the one provided"));
  });

  describe('middleware.http.oauth2clientcredentials', () => {
    const all = () => ({ headerName: 'X-Auth', clientID: 'me', clientSecret: 's', scopes: 'a,b', tokenURL: `${base}/token` });
    it('asks once and adds the token', async () => {
      const ask = await openMiddleware('oauth2clientcredentials', { ...all(), endpointParamsQuery: 'r=1%202', pathFilter: '^/in' });
      const before = idp.requests.length;
      const [first, second] = await Promise.all([ask('/in/x'), ask('/in/y', { headers: ['X-Auth', 'mine'] })]);
      const given = /^Bearer t\d+$/;
      expect(first.passed?.header('x-auth')).toMatch(given);
      expect(second.passed?.header('x-auth')).toBe('mine');
      expect((await ask('/out')).passed?.header('x-auth')).toBeUndefined();
      const asked = idp.requests.slice(before);
      expect(asked.map((request) => [request.header('authorization'), request.text()])).toEqual([['Basic bWU6cw==', 'grant_type=client_credentials&r=1+2&scope=a+b']]);
    });
    it('finds out how credentials are wanted', async () => expect((await (await openMiddleware('oauth2clientcredentials', { ...all(), tokenURL: `${base}/form-only` }))('/')).passed?.header('x-auth')).toBe('MAC f'));
    it('answers 500 without a token', async () => expect(await (await openMiddleware('oauth2clientcredentials', { ...all(), tokenURL: `${base}/none` }))('/')).toMatchObject({ status: 500, passed: undefined }));
    it('lists what is missing', async () => expect(await refused('oauth2clientcredentials', { authStyle: '3', pathFilter: '(' })).toBe("metadata errors: Parameter 'headerName' needs to be set. Parameter 'clientID' needs to be set. Parameter 'clientSecret' needs to be set. Parameter 'scopes' needs to be set. Parameter 'tokenURL' needs to be set. Parameter 'pathFilter' is not a valid regex: error parsing regexp: missing closing ): `(`. Parameter 'authStyle' can only have the values 0,1,2. Received: '3'. "));
  });

  describe('middleware.http.oauth2', () => {
    it('logs a browser in and adds its token from then on', async () => {
      const ask = await openMiddleware('oauth2', { clientID: 'me', clientSecret: 's', scopes: 'a,b', authURL: 'http://idp/login?x=1', tokenURL: `${base}/token`, redirectURL: 'http://app/back', forceHTTPS: 'true' });
      const first = await ask('/page?p=1', { headers: ['Host', 'app.example.com'] });
      const state = /state=([^&]+)/.exec(first.header('location') ?? '')?.[1] as string;
      expect([first.status, first.header('location')]).toEqual([302, `http://idp/login?x=1&access_type=offline&client_id=me&redirect_uri=http%3A%2F%2Fapp%2Fback&response_type=code&scope=a+b&state=${state}`]);
      expect(first.header('set-cookie')).toContain('; Domain=example.com;');
      const headers = ['Host', 'app.example.com', 'Cookie', (first.header('set-cookie') as string).split(';')[0] as string];
      expect(await ask('/back?state=other&code=c', { headers })).toMatchObject({ status: 400, text: 'invalid state' });
      expect(await ask(`/back?state=${state}`, { headers })).toMatchObject({ status: 400, text: 'code not found' });
      const back = await ask(`/back?state=${state}&code=c`, { headers });
      expect([back.status, back.header('location')]).toEqual([302, 'https://app.example.com/page?p=1']);
      expect(idp.requests.at(-1)?.text()).toBe('code=c&grant_type=authorization_code&redirect_uri=http%3A%2F%2Fapp%2Fback');
      expect((await ask('/page', { headers })).passed?.header('authorization')).toMatch(/^Bearer t\d+$/);
      expect((await ask(`/back?state=${state}&code=c`)).status).toBe(500);
    });
  });
});

describe('middleware.http.wasm', () => {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-wasm-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  let made = 0;
  const open = (module: ModuleText, more = {}) => {
    const file = join(home, `${++made}.wasm`);
    writeFileSync(file, wasmModule(module));
    return openMiddleware('wasm', { url: `file://${file}`, ...more });
  };
  const text = ['i32', 'i32'] as const;
  const imports: ModuleText['imports'] = [
    { name: 'set_uri', from: [...text], to: [] },
    { name: 'set_header_value', from: ['i32', ...text, ...text], to: [] },
    { name: 'write_body', from: ['i32', ...text], to: [] },
    { name: 'set_status_code', from: ['i32'], to: [] },
    { name: 'enable_features', from: ['i32'], to: ['i32'] },
    { name: 'get_config', from: [...text], to: ['i32'] },
    { name: 'read_body', from: ['i32', ...text], to: ['i64'] },
  ];
  const data = { 0: '/new?x', 16: 'x-a', 32: 'yes', 48: 'blocked' };
  const nothing = { handle_response: { from: [...text], code: [] } } satisfies ModuleText['functions'];
  const { i32, i64, call, drop, trap } = code;

  it('changes the request and lets it pass', async () => {
    const ask = await open({ imports, data, functions: { handle_request: { to: ['i64'], code: [...i32(0), ...i32(6), ...call(0), ...i32(0), ...i32(16), ...i32(3), ...i32(32), ...i32(3), ...call(1), ...i64(1)] }, ...nothing } });
    const { passed, text: body } = await ask('/old', { method: 'POST', body: 'kept' });
    expect([passed?.target, passed?.header('x-a'), passed?.body, body]).toEqual(['/new?x', 'yes', 'kept', 'Hello World']);
  });
  it('answers itself, and takes its configuration from a start function', async () => {
    const ask = await open({ imports, data, functions: {
      start: { code: [...i32(48), ...i32(7), ...call(5), ...drop] },
      handle_request: { to: ['i64'], code: [...i32(403), ...call(3), ...i32(1), ...i32(48), ...i32(7), ...call(2), ...i64(0)] }, ...nothing,
    } }, { guestConfig: 'denied!' });
    expect(await ask('/')).toMatchObject({ status: 403, text: 'denied!', passed: undefined });
  });
  it('rewrites an answer it has asked to keep', async () => {
    const ask = await open({ imports, data, functions: {
      handle_request: { to: ['i64'], code: [...i32(2), ...call(4), ...drop, ...i64(1)] },
      handle_response: { from: [...text], code: [...i32(1), ...i32(48), ...i32(7), ...call(2), ...i32(418), ...call(3)] },
    } });
    expect(await ask('/')).toMatchObject({ status: 418, text: 'blocked' });
  });
  it('fails the request and nothing else when it traps or does what it may not', async () => {
    const ask = await open({ imports, data, functions: { handle_request: { to: ['i64'], code: [...trap, ...i64(0)] }, ...nothing } });
    for (let i = 0; i < 2; i++) expect(await ask('/')).toMatchObject({ status: 500, text: 'Internal Server Error' });
    const late = await open({ imports, data, functions: { handle_request: { to: ['i64'], code: i64(1) }, handle_response: { from: [...text], code: [...i32(418), ...call(3)] } } });
    expect((await late('/')).status).toBe(500);
  });
  it.each([
    [{}, 'wasm: failed to parse metadata: missing url'], [{ url: 'x' }, 'wasm: failed to parse metadata: invalid URL: x'], [{ url: 'oci://x' }, 'TODO oci'], [{ url: 'ftp://x' }, 'unsupported URL scheme: ftp'], [{ url: 'file:///nope' }, 'nope'], [{ url: 'file:///etc/hostname' }, 'wasm: error compiling guest: '],
  ])('refuses %j', async (metadata, why) => expect(await refused('wasm', metadata as Record<string, string>)).toContain(why));
  it('wants both functions', async () => {
    const file = join(home, 'half.wasm');
    writeFileSync(file, wasmModule({ imports: [], data: {}, functions: { handle_request: { to: ['i64'], code: i64(1) } } }));
    expect(await refused('wasm', { url: `file://${file}` })).toBe("wasm: guest doesn't export func[handle_response]");
  });
});
