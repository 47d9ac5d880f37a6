// bindings.azure.blobstorage against Azurite; what comes back was measured at daprd 1.18.2 with the same emulator.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.azure.blobstorage';

describe(type, () => {
  let azurite: Awaited<ReturnType<typeof startAzurite>>;
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-blobs-'));
  beforeAll(async () => {
    azurite = await startAzurite('blob');
  }, 60_000);
  afterAll(async () => {
    await azurite?.stop();
    rmSync(folder, { recursive: true });
  });
  const open = async (containerName: string, metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<Binding>(type, { ...azuriteAccount, endpoint: azurite.endpoint, containerName, ...metadata });
    const invoke = (operation: string, data: unknown = '', wanted: Record<string, string> = {}) =>
      (port.invoke as NonNullable<Binding['invoke']>)({ operation, data: data instanceof Uint8Array ? data : new TextEncoder().encode(typeof data === 'string' ? data : JSON.stringify(data)), metadata: wanted }, background);
    const text = async (...args: Parameters<typeof invoke>) => new TextDecoder().decode((await invoke(...args))?.data);
    return { invoke, text, json: async (...args: Parameters<typeof invoke>) => JSON.parse(await text(...args)) as unknown };
  };
  const url = (container: string, name: string) => `${azurite.endpoint}/${azuriteAccount.accountName}/${container}/${name}`;

  describeBinding({
    type,
    start: async () => ({ metadata: { ...azuriteAccount, endpoint: azurite.endpoint, containerName: 'suite' }, stop: async () => undefined }),
    operations: ['create', 'get', 'delete', 'list', 'bulkGet', 'bulkCreate', 'bulkDelete', 'presign'],
    request: { blobName: 'a/b.txt' },
    quirks: { missing: 'error' },
  });

  test('create tells where the blob is, and makes a name where none is given', async () => {
    const { invoke, text, json } = await open('plain');
    expect(await json('create', '"a \\"text\\""', { blobName: 'a/b c(1).txt' })).toEqual({ blobURL: url('plain', 'a%2Fb%20c%281%29.txt'), blobName: 'a/b c(1).txt' });
    expect(await text('get', '', { blobName: 'a/b c(1).txt' })).toBe('a "text"');
    expect(await json('create', 'x', { blobName: '../up/$&+=:@;,?!ü' })).toEqual({ blobURL: url('plain', '..%2Fup%2F$&+=:@%3B%2C%3F%21%C3%BC'), blobName: '../up/$&+=:@;,?!ü' });
    expect(await text('get', '', { blobName: '../up/$&+=:@;,?!ü' })).toBe('x');
    const made = await invoke('create', { a: 1 });
    expect(made?.metadata.blobName).toMatch(/^[0-9a-f-]{36}$/);
    expect(await text('get', '', { blobName: made?.metadata.blobName as string })).toBe('{"a":1}');
  });
  test('bytes stay bytes; base64 is decoded where that is asked for', async () => {
    const { invoke } = await open('plain');
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await invoke('create', bytes, { blobName: 'bytes' });
    expect(Buffer.from((await invoke('get', '', { blobName: 'bytes' }))?.data as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
    const decoding = await open('plain', { decodeBase64: 'true' });
    await decoding.invoke('create', '"aGVsbG8="', { blobName: 'decoded' });
    expect(await decoding.text('get', '', { blobName: 'decoded' })).toBe('hello');
    await expect(decoding.invoke('create', 'no base64!', { blobName: 'decoded' })).rejects.toThrow('illegal base64 data');
  });
  test('headers and metadata of a blob', async () => {
    const { invoke, json } = await open('described');
    const md5 = 'XUFAKrxLKna5cZ2REBfFkg=='; // of "hello"
    await invoke('create', '"hello"', { blobName: 'd', ContentType: 'text/x', contentMD5: md5, contentEncoding: 'e', contentLanguage: 'de', contentDisposition: 'inline', cacheControl: 'no-cache', 'my-key': 'v ü', other: 'o' });
    expect((await invoke('get', '', { blobName: 'd', includeMetadata: 'true' }))?.metadata).toEqual({ Mykey: 'v', Other: 'o' });
    expect((await invoke('get', '', { blobName: 'd' }))?.metadata).toEqual({});
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await json('list', { include: { METADATA: true } })).toEqual([{
      Deleted: null, Name: 'd',
      Properties: {
        ETag: expect.stringMatching(/^"?0x[0-9A-F]+"?$/), LastModified: time, AccessTier: 'Hot', AccessTierChangeTime: time, AccessTierInferred: true, ArchiveStatus: null, BlobSequenceNumber: null, BlobType: 'BlockBlob', CacheControl: 'no-cache', ContentDisposition: 'inline', ContentEncoding: 'e',
        ContentLanguage: 'de', ContentLength: 5, ContentMD5: md5, ContentType: 'text/x', CopyCompletionTime: null, CopyID: null, CopyProgress: null, CopySource: null, CopyStatus: null, CopyStatusDescription: null, CreationTime: time, CustomerProvidedKeySHA256: null, DeletedTime: null, DestinationSnapshot: null,
        EncryptionScope: null, ExpiresOn: null, ImmutabilityPolicyExpiresOn: null, ImmutabilityPolicyMode: null, IncrementalCopy: null, IsSealed: null, LastAccessedOn: null, LeaseDuration: null, LeaseState: 'available', LeaseStatus: 'unlocked', LegalHold: null, RehydratePriority: null, RemainingRetentionDays: null,
        ServerEncrypted: true, TagCount: null,
      },
      Snapshot: null, BlobTags: null, HasVersionsOnly: null, IsCurrentVersion: null, Metadata: { mykey: 'v', other: 'o' }, OrMetadata: null, VersionID: null,
    }]);
    await expect(invoke('create', 'x', { blobName: 'd', contentMD5: 'abc' })).rejects.toMatchObject({ message: 'the MD5 value specified in Content MD5 is invalid, MD5 value must be 128 bits and base64 encoded' });
    await expect(invoke('create', 'x', { blobName: 'd', contentMD5: md5 })).rejects.toThrow(/^error uploading az blob: PUT .*RESPONSE 400/);
  });
  test('lists go on where the last one ended', async () => {
    const { invoke, json } = await open('listing');
    expect((await invoke('list', 'null'))?.metadata).toEqual({ marker: '', number: '0', pagesTraversed: '1' });
    for (const blobName of ['a/1', 'a/2', 'a/<3>', 'b']) await invoke('create', 'x', { blobName });
    const names = async (data: unknown) => ((await json('list', data)) as { Name: string }[]).map(({ Name }) => Name);
    expect([await names('null'), await names({ prefix: 'a/' }), await names({ prefix: 'none' })]).toEqual([['a/1', 'a/2', 'a/<3>', 'b'], ['a/1', 'a/2', 'a/<3>'], []]);
    const first = await invoke('list', { maxResults: 3 });
    expect(first?.metadata).toEqual({ marker: expect.stringMatching(/.+/), number: '3', pagesTraversed: '1' });
    expect(await names({ marker: first?.metadata.marker })).toEqual(['b']);
    await expect(invoke('list', '"x"')).rejects.toMatchObject({ message: 'json: cannot unmarshal string into Go value of type blobstorage.listPayload' });
  });
  test('presigned addresses open the blob to whoever has them', async () => {
    const { json, invoke } = await open('shown');
    const made = (await json('create', 'open', { blobName: 'a b/ü', signTTL: '15m' })) as { presignURL: string };
    const asked = (await json('presign', '', { blobName: 'a b/ü', signTTL: '1h' })) as { presignURL: string };
    for (const { presignURL } of [made, asked]) expect(await (await fetch(presignURL)).text()).toBe('open');
    expect(new URL(asked.presignURL).searchParams.get('sp')).toBe('r');
    expect((await fetch(asked.presignURL.replace('sp=r', 'sp=rw'))).status).toBe(403);
    for (const [signTTL, why] of [['soon', 'cannot parse signTTL duration "soon": time: invalid duration "soon"'], ['-1s', 'signTTL must be a positive duration, got "-1s"']] as const) {
      await expect(invoke('presign', '', { blobName: 'x', signTTL })).rejects.toMatchObject({ message: `error generating SAS URL: ${why}` });
      await expect(invoke('create', '', { blobName: 'x', signTTL })).rejects.toMatchObject({ message: `error generating SAS URL: ${why}` });
    }
    await expect(invoke('presign', '', { blobName: 'x' })).rejects.toMatchObject({ message: 'signTTL is a required attribute for presign operations' });
  });
  test('many at once: what fails stands in the result', async () => {
    const { invoke, json } = await open('many');
    writeFileSync(join(folder, 'source'), 'from a file');
    const items = [{ blobName: 'm/1', data: 'one', contentType: 'text/plain' }, { blobName: 'm/2', sourcePath: join(folder, 'source') }, { blobName: 'm/3', sourcePath: '/none' }, { blobName: 'm/../../out', data: 'safe' }];
    expect(await json('bulkCreate', { items, concurrency: 2 })).toEqual([
      { blobName: 'm/1', blobURL: url('many', 'm%2F1') }, { blobName: 'm/2', blobURL: url('many', 'm%2F2') },
      { blobName: 'm/3', error: 'error opening source file: open /none: no such file or directory' }, { blobName: 'm/../../out', blobURL: url('many', 'm%2F..%2F..%2Fout') },
    ]);
    const target = join(folder, 'deep', 'target');
    const got = await invoke('bulkGet', { items: [{ blobName: 'm/1' }, { blobName: 'none' }, { blobName: 'm/2', filePath: target }] });
    expect([got?.metadata, JSON.parse(new TextDecoder().decode(got?.data))]).toEqual([{ number: '3' }, [{ blobName: 'm/1', data: 'b25l' }, { blobName: 'none', error: 'blob not found' }, { blobName: 'm/2', filePath: target }]]);
    expect(readFileSync(target, 'utf8')).toBe('from a file');
    const all = join(folder, 'all');
    expect(await json('bulkGet', { prefix: 'm/', destinationDir: all })).toEqual([{ blobName: 'm/../../out', filePath: `${all}/out` }, { blobName: 'm/1', filePath: `${all}/m/1` }, { blobName: 'm/2', filePath: `${all}/m/2` }]);
    expect([readFileSync(join(all, 'm/1'), 'utf8'), readFileSync(join(all, 'out'), 'utf8')]).toEqual(['one', 'safe']);
    expect(await json('bulkDelete', { blobNames: ['m/1', 'none', 'm/1'], prefix: 'm/' })).toEqual([{ blobName: 'm/1' }, { blobName: 'none', error: 'blob not found' }, { blobName: 'm/../../out' }, { blobName: 'm/2' }]);
    expect(await json('list', 'null')).toEqual([]);
  });
  test.each([
    ['bulkCreate', { items: [{ blobName: '', data: 'x' }] }, 'item at index 0 is missing blobName'],
    ['bulkCreate', { items: [{ blobName: 'q' }] }, 'item at index 0 is missing both data and sourcePath'],
    ['bulkCreate', {}, 'items array must not be empty'],
    ['bulkGet', { prefix: 'm/' }, 'destinationDir is required when using prefix'],
    ['bulkGet', null, 'at least one of items or prefix is required'],
    ['bulkGet', { items: [{ blobName: 'm' }], concurrency: 0 }, 'concurrency must be greater than 0'],
    ['bulkGet', 'x', "error parsing bulkGet payload: invalid character 'x' looking for beginning of value"],
    ['bulkDelete', { prefix: 'a/', deleteSnapshots: 'nope' }, 'invalid delete snapshot option type: nope; allowed: [include only]'],
    ['bulkDelete', {}, 'at least one of prefix or blobNames is required'],
  ] as [string, unknown, string][])('%s %j fails', async (operation, data, message) => {
    await expect((await open('plain')).invoke(operation, data)).rejects.toMatchObject({ message });
  });
  test('what is not there, or not said', async () => {
    const { invoke } = await open('plain');
    for (const operation of ['get', 'delete', 'presign']) await expect(invoke(operation)).rejects.toMatchObject({ message: 'blobName is a required attribute' });
    for (const operation of ['get', 'delete']) await expect(invoke(operation, '', { blobName: 'none' })).rejects.toMatchObject({ message: 'blob not found' });
    await expect(invoke('get', '', { blobName: 'none', filePath: join(folder, 'none') })).rejects.toMatchObject({ message: 'blob not found' });
    await invoke('create', 'x', { blobName: 'here' });
    await expect(invoke('get', '', { blobName: 'here', includeMetadata: 'maybe' })).rejects.toMatchObject({ message: 'error parsing metadata: error parsing metadata `includeMetadata` with value `maybe` as bool: strconv.ParseBool: parsing "maybe": invalid syntax' });
    await expect(invoke('delete', '', { blobName: 'here', deleteSnapshots: 'nope' })).rejects.toThrow('invalid delete snapshot option type: nope; allowed: [include only]');
    expect(await invoke('get', '', { blobName: 'here', filePath: join(folder, 'got') })).toEqual({ data: new Uint8Array(0), metadata: { filePath: join(folder, 'got') } });
    expect(await invoke('delete', '', { blobName: 'here', deleteSnapshots: 'include' })).toBeNull();
  });
  test('a connection string, a container of one’s own, one that everybody may read', async () => {
    const { accountName, accountKey } = azuriteAccount;
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=${accountName};AccountKey=${accountKey};BlobEndpoint=${azurite.endpoint}/${accountName};`;
    const { invoke } = await open('public', { accountName: '', accountKey: '', endpoint: '', connectionString, publicAccessLevel: 'blob' });
    await invoke('create', '"seen"', { blobName: 'x' });
    expect(await (await fetch(url('public', 'x'))).text()).toBe('seen');
    await expect((await open('absent', { disableEntityManagement: 'true' })).invoke('create', 'x')).rejects.toThrow(/^error uploading az blob: .*ERROR CODE: ContainerNotFound/);
  });
  test.each([
    [{ accountName: '' }, 'missing or empty accountName field from metadata'],
    [{ containerName: '' }, 'missing or empty containerName field from metadata'],
    [{ publicAccessLevel: 'all' }, 'invalid public access level: all; allowed: [blob container]'],
    [{ accountKey: '', azureAuthMethods: 'none' }, "invalid token credentials with error: all Azure auth methods have been disabled with auth method 'None'"],
    [{ accountKey: 'AAAA' }, /^failed to create Azure Storage container refused: PUT .*RESPONSE 403/],
    [{ connectionString: 'AccountName=x' }, /^cannot init blob storage container client with connection string: /],
  ] as [Record<string, string>, string | RegExp][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata.containerName ?? 'refused', metadata)).rejects.toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });
});
