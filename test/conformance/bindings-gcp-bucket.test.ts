// bindings.gcp.bucket against a server of the test's own with the calls of Google's JSON API that it needs; Google itself is not reached.
import { createHash, createVerify, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { startApp } from '../harness/app.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.gcp.bucket';

/** Buckets in memory; lists come two at a time, and a copy takes two calls. */
async function startBuckets() {
  const buckets = new Map<string, Map<string, { data: Buffer; contentType: string }>>([['one', new Map()], ['two', new Map()]]);
  const refuse = (code: number, message: string) => Response.json({ error: { code, message } }, { status: code });
  const app = await startApp((request) => {
    const url = new URL(request.target, 'http://x');
    const [, upload, bucketName = '', name, toBucket, toName] = /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+)(?:\/rewriteTo\/b\/([^/]+)\/o\/([^/]+))?)?$/.exec(url.pathname)?.map((part) => part && decodeURIComponent(part)) ?? [];
    const bucket = buckets.get(bucketName);
    if (bucket === undefined) return refuse(404, 'The specified bucket does not exist.');
    if (upload) {
      bucket.set(url.searchParams.get('name') ?? '', { data: Buffer.from(request.body), contentType: request.header('content-type') ?? '' });
      return Response.json({});
    }
    if (name === undefined) {
      const [prefix, delimiter, from] = [url.searchParams.get('prefix') ?? '', url.searchParams.get('delimiter'), Number(url.searchParams.get('pageToken') ?? 0)];
      const names = [...bucket.keys()].filter((key) => key.startsWith(prefix)).sort();
      const cut = (key: string) => (delimiter && key.indexOf(delimiter, prefix.length) >= 0 ? key.slice(0, key.indexOf(delimiter, prefix.length) + 1) : undefined);
      const items = names.filter((key) => cut(key) === undefined).map((key) => ({ bucket: bucketName, name: key, size: String(bucket.get(key)?.data.length), contentType: bucket.get(key)?.contentType, md5Hash: 'XUFAKrxLKna5cZ2REBfFkg==', crc32c: 'mnG7TA==', generation: '17', metageneration: '1', timeCreated: '2026-01-02T03:04:05.120Z', updated: '2026-01-02T03:04:05.000Z', acl: [{ entity: 'user-a', role: 'OWNER' }], owner: { entity: 'user-a' } }));
      const prefixes = [...new Set(names.map(cut).filter((key) => key !== undefined))];
      return Response.json({ items: items.slice(from, from + 2), ...(from === 0 ? { prefixes } : {}), ...(items.length > from + 2 ? { nextPageToken: String(from + 2) } : {}) });
    }
    const object = bucket.get(name);
    if (object === undefined) return refuse(404, `No such object: ${bucketName}/${name}`);
    if (toBucket !== undefined) {
      if (!url.searchParams.has('rewriteToken')) return Response.json({ done: false, rewriteToken: 't' });
      const target = buckets.get(toBucket);
      if (target === undefined) return refuse(404, 'The specified bucket does not exist.');
      target.set(toName as string, object);
      return Response.json({ done: true });
    }
    if (request.method === 'DELETE') {
      bucket.delete(name);
      return new Response(null, { status: 204 });
    }
    return new Response(new Uint8Array(object.data));
  });
  return { ...app, buckets };
}

describe(type, () => {
  let server: Awaited<ReturnType<typeof startBuckets>>;
  beforeAll(async () => {
    server = await startBuckets();
    vi.stubEnv('STORAGE_EMULATOR_HOST', `127.0.0.1:${server.port}`);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.stop();
  });
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<Binding>(type, { bucket: 'one', project_id: 'p', ...metadata });
    const invoke = (operation: string, data: unknown = '', wanted: Record<string, string> = {}) =>
      (port.invoke as NonNullable<Binding['invoke']>)({ operation, data: data instanceof Uint8Array ? data : new TextEncoder().encode(typeof data === 'string' ? data : JSON.stringify(data)), metadata: wanted }, background);
    const text = async (...args: Parameters<typeof invoke>) => new TextDecoder().decode((await invoke(...args))?.data);
    return { invoke, text };
  };

  describeBinding({
    type,
    start: async () => {
      vi.stubEnv('STORAGE_EMULATOR_HOST', `127.0.0.1:${server.port}`);
      return { metadata: { bucket: 'two', projectID: 'p' }, stop: async () => void server.buckets.get('two')?.clear() };
    },
    operations: ['create', 'get', 'delete', 'list', 'sign', 'bulkGet', 'copy', 'rename', 'move'],
    request: { key: 'a/b.txt' },
    // a list without a payload is refused
    quirks: { missing: 'error', noEmptyList: true },
  });

  test('create and get', async () => {
    const { invoke, text } = await open({ contentType: 'text/x' });
    expect(await text('create', '"a \\"ü\\""', { key: 'a/b c' })).toBe('{"objectURL":"https://storage.googleapis.com/one/a/b%20c"}');
    expect([server.buckets.get('one')?.get('a/b c')?.contentType, await text('get', '', { name: 'a/b c' })]).toEqual(['text/x', 'a "ü"']);
    expect(await text('create', 'x')).toMatch(/^\{"objectURL":"https:\/\/storage\.googleapis\.com\/one\/[0-9a-f-]{36}"\}$/);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const plain = await open();
    await plain.invoke('create', bytes, { key: 'bytes' });
    expect([server.buckets.get('one')?.get('bytes')?.contentType, await text('get', '', { key: 'bytes', encodeBase64: 'true' })]).toEqual(['application/octet-stream', Buffer.from(bytes).toString('base64')]);
    await plain.invoke('create', '"aGVsbG8="', { key: 'decoded', decodeBase64: 'true' });
    expect([server.buckets.get('one')?.get('decoded')?.contentType, await text('get', '', { key: 'decoded' })]).toEqual(['text/plain; charset=utf-8', 'hello']);
    server.buckets.get('one')?.clear();
    expect(await invoke('list', 'null')).toEqual({ data: new TextEncoder().encode('null'), metadata: {} });
  });
  test('list and bulkGet tell what the client for Go does', async () => {
    const { text, invoke } = await open();
    for (const key of ['a/1', 'a/2', 'b', 'c', 'd']) await invoke('create', 'x', { key });
    const names = async (payload: unknown) => (JSON.parse(await text('list', payload)) as { Name: string; Prefix: string }[]).map(({ Name, Prefix }) => Name || Prefix);
    expect([await names({}), await names({ prefix: 'a/' }), await names({ delimiter: '/' }), await names({ maxResults: 3 })]).toEqual([['a/1', 'a/2', 'b', 'c', 'd'], ['a/1', 'a/2'], ['b', 'c', 'a/', 'd'], ['a/1', 'a/2', 'b']]);
    const none = '0001-01-01T00:00:00Z';
    const attributes = {
      Bucket: 'one', Name: 'b', ContentType: 'text/plain; charset=utf-8', ContentLanguage: '', CacheControl: '', EventBasedHold: false, TemporaryHold: false, RetentionExpirationTime: none, ACL: [{ Entity: 'user-a', EntityID: '', Role: 'OWNER', Domain: '', Email: '', ProjectTeam: null }], PredefinedACL: '', Owner: 'user-a', Size: 1,
      ContentEncoding: '', ContentDisposition: '', MD5: 'XUFAKrxLKna5cZ2REBfFkg==', CRC32C: 0x9a71bb4c, MediaLink: '', Metadata: null, Generation: 17, Metageneration: 1, StorageClass: '', Created: '2026-01-02T03:04:05.12Z', Finalized: none, Deleted: none, Updated: '2026-01-02T03:04:05Z', CustomerKeySHA256: '', KMSKeyName: '', Prefix: '', Etag: '',
      CustomTime: none, ComponentCount: 0, Retention: null, SoftDeleteTime: none, HardDeleteTime: none,
    };
    expect(JSON.parse(await text('list', { prefix: 'b' }))).toEqual([attributes]);
    const all = JSON.parse(await text('bulkGet')) as { name: string; data: string; attrs: unknown }[];
    expect([all.map(({ name }) => name), all[2]]).toEqual([['a/1', 'a/2', 'b', 'c', 'd'], { name: 'b', data: 'eA==', attrs: attributes }]);
    await expect(invoke('list', '')).rejects.toMatchObject({ message: 'unexpected end of JSON input' });
  });
  test('copy, move, rename', async () => {
    const { text, invoke } = await open();
    const [one, two] = [server.buckets.get('one'), server.buckets.get('two')];
    one?.clear();
    await invoke('create', 'x', { key: 'k' });
    expect(await text('copy', { destinationBucket: 'two' }, { key: 'k' })).toBe('object k copied to two');
    expect(await text('rename', { newName: 'n/2' }, { key: 'k' })).toBe('object k renamed to n/2');
    expect(await text('move', { destinationBucket: 'two' }, { key: 'n/2' })).toBe('object n/2 moved to two');
    expect([[...(one?.keys() ?? [])], [...(two?.keys() ?? [])]]).toEqual([[], ['k', 'n/2']]);
    await invoke('create', 'x', { key: 'k' });
    for (const [operation, payload] of [['move', { destinationBucket: 'one' }], ['rename', { newName: 'k' }]] as const) await expect(invoke(operation, payload, { key: 'k' })).rejects.toThrow('source and destination are the same object');
    expect(one?.has('k')).toBe(true);
    await expect(invoke('copy', { destinationBucket: 'none' }, { key: 'k' })).rejects.toMatchObject({ message: 'gcp bucket binding error while copying object: googleapi: Error 404: The specified bucket does not exist.' });
    for (const [operation, message] of [['copy', "required 'destinationBucket' missing"], ['move', "required 'destinationBucket' missing"], ['rename', "required 'newName' missing"]] as const) {
      await expect(invoke(operation, {}, { key: 'k' })).rejects.toMatchObject({ message: `gcp bucket binding error: ${message}` });
      await expect(invoke(operation, '[', { key: 'k' })).rejects.toMatchObject({ message: `gcp bucket binding error: invalid ${operation} payload` });
      await expect(invoke(operation, {})).rejects.toMatchObject({ message: "gcp bucket binding error: can't read key value" });
    }
  });
  test('a signed address proves who made it', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const account = { private_key_id: 'id', private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, client_email: 'me@p.example' };
    const { text, invoke } = await open(account);
    const { signURL } = JSON.parse(await text('sign', '', { key: 'a/b c!', signTTL: '15m' })) as { signURL: string };
    const [, path, query, signature] = /^https:\/\/storage\.googleapis\.com(\/one\/a\/b%20c%21)\?(.*)&X-Goog-Signature=([0-9a-f]+)$/.exec(signURL) ?? [];
    const asked = new URLSearchParams(query);
    expect([asked.get('X-Goog-Algorithm'), asked.get('X-Goog-Expires'), asked.get('X-Goog-SignedHeaders')]).toEqual(['GOOG4-RSA-SHA256', '900', 'host']);
    const canonical = createHash('sha256').update(`GET\n${path}\n${query}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD`).digest('hex');
    const [email, ...scope] = (asked.get('X-Goog-Credential') as string).split('/');
    expect(email).toBe('me@p.example');
    expect(createVerify('RSA-SHA256').update(`GOOG4-RSA-SHA256\n${asked.get('X-Goog-Date')}\n${scope.join('/')}\n${canonical}`).verify(publicKey, signature as string, 'hex')).toBe(true);
    await expect(invoke('sign', '', { key: 'k' })).rejects.toMatchObject({ message: "gcp bucket binding error: required metadata 'signTTL' missing" });
    await expect(invoke('sign', '', { key: 'k', signTTL: 'soon' })).rejects.toThrow('while parsing signTTL: time: invalid duration "soon"');
    await expect((await open()).invoke('sign', '', { key: 'k', signTTL: '1m' })).rejects.toThrow('Bucket("one").SignedURL: ');
  });
  test('what is not there, or not said', async () => {
    const { invoke } = await open();
    for (const operation of ['get', 'delete']) {
      await expect(invoke(operation, '', { key: 'none' })).rejects.toMatchObject({ message: 'object not found' });
      await expect(invoke(operation)).rejects.toThrow("can't read key value");
    }
    await expect((await open({ bucket: 'none' })).invoke('create', 'x')).rejects.toMatchObject({ message: 'gcp bucket binding error while flushing: googleapi: Error 404: The specified bucket does not exist.' });
    await expect(open({ bucket: '' })).rejects.toMatchObject({ message: 'missing property `bucket` in metadata' });
    await expect(open({ project_id: '' })).rejects.toMatchObject({ message: 'missing property `project_id` in metadata' });
  });
});
