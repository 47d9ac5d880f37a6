import { expect, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import type { ComponentResource, MetadataItem } from '../resources/kinds.ts';
import { resolveItems } from '../resources/values.ts';
import type { SecretStore } from '../secrets/port.ts';
import { stateEncryptionOf } from './encryption-keys.ts';

const key = '00112233445566778899aabbccddeeff';
const other = 'ffeeddccbbaa99887766554433221100';
const vault = {
  get: async (name: string) => {
    if (name === 'gone') throw new Error('secret gone not found');
    return name === 'nothing' ? null : name === 'pair' ? { new: key, old: other } : { [name]: name === 'empty' ? '' : name === 'other' ? other : key };
  },
} as unknown as SecretStore;

async function start(metadata: MetadataItem[], secretStore: SecretStore | undefined = vault) {
  const lines: string[] = [];
  const log = createLogger({ appId: '', instance: '', version: '', write: (line) => lines.push(line) });
  const resource: ComponentResource = { name: 's', namespace: '', scopes: [], source: { file: 'f', document: 1 }, type: 'state.x', version: 'v1', metadata, initTimeoutMs: 5000, ignoreErrors: false, secretStore: '' };
  const { items } = await resolveItems({ kind: 'Component', ...resource }, metadata, { env: {}, log, secretStore: () => secretStore });
  const encryption = await stateEncryptionOf(resource, items, secretStore, log);
  const record = async () => new TextDecoder().decode(((await encryption?.seal({ json: '1' })) as { bytes: Uint8Array } | undefined)?.bytes);
  return { encryption, record, lines };
}
const secret = (name: string, entry = '', item = 'primaryEncryptionKey'): MetadataItem => ({ name: item, secretKeyRef: { name, key: entry } });
const failed = 'failed to extract encryption key: failed to extract encryption key: ';

test('no key, no encryption', async () => expect((await start([{ name: 'redisHost', value: 'x' }])).encryption).toBeUndefined());
test('records carry the name of the secret, whatever its entry', async () => {
  expect(await (await start([secret('one')])).record()).toMatch(/\|\|one$/);
  const { record, lines } = await start([secret('pair', 'new'), secret('pair', 'old', 'secondaryEncryptionKey')]);
  expect(await record()).toMatch(/\|\|pair$/);
  expect(lines.join()).toContain('Automatic encryption enabled for state store s');
  expect(lines.join()).not.toContain(key);
});
test('the names of the metadata are matched in any case, the last one counts', async () => expect(await (await start([secret('one'), secret('other', '', 'PrimaryEncryptionKEY')])).record()).toMatch(/\|\|other$/));
test('both keys read', async () => {
  const before = await (await start([secret('other')])).record();
  const { encryption } = await start([secret('one'), secret('other', '', 'secondaryEncryptionKey')]);
  expect(new TextDecoder().decode(await encryption?.open(new TextEncoder().encode(before)))).toBe('1');
});
test.each([vault, undefined])('a key in the open encrypts under no name, and is warned of', async (store) => {
  const { record, encryption, lines } = await start([{ name: 'primaryEncryptionKey', value: key }], store);
  expect(await record()).toMatch(/=\|\|$/);
  expect(new TextDecoder().decode(await encryption?.open(new TextEncoder().encode(await record())))).toBe('1');
  expect(lines.filter((line) => line.includes('level=warning'))).toHaveLength(1);
});
test.each([
  ['a secret that is not there', [secret('gone')], `${failed}secret gone not found`],
  ['a secret that is empty', [secret('empty')], `${failed}encryption key cannot be empty`],
  ['an empty value', [{ name: 'primaryEncryptionKey', value: '' }], `${failed}primaryEncryptionKey is empty`],
  ['a secondary key alone', [secret('one', '', 'secondaryEncryptionKey')], 'secondaryEncryptionKey without primaryEncryptionKey'],
])('fails at load: %s', async (_, metadata, message) => await expect(start(metadata)).rejects.toThrow(message));
test('fails at load: a secret and no store for it', async () => {
  const metadata = [secret('one')];
  const resource = { name: 's', namespace: '', metadata } as unknown as ComponentResource;
  await expect(stateEncryptionOf(resource, [{ name: 'primaryEncryptionKey', value: '' }], undefined, createLogger({ appId: '', instance: '', version: '', write: () => {} }))).rejects.toThrow('names no loaded secret store');
});
test.each([['one', 'nokey'], ['nothing', '']])('a secret %s without its entry: the store loads, says so, and refuses values', async (name, entry) => {
  const { encryption, lines } = await start([secret(name, entry)]);
  await expect(encryption?.seal({ json: '1' })).rejects.toThrow(`the secret ${name} has no entry ${entry || name} for primaryEncryptionKey`);
  expect(lines.filter((line) => line.includes('level=error'))).toHaveLength(1);
});
test('a secondary key that is not there does not keep the store from working', async () => {
  const { record, lines } = await start([secret('one'), secret('other', 'nokey', 'secondaryEncryptionKey')]);
  expect(await record()).toMatch(/\|\|one$/);
  expect(lines.filter((line) => line.includes('level=error'))).toHaveLength(1);
});
