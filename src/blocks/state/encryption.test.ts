import { describe, expect, test } from 'vitest';
import { createStateEncryption, type EncryptionKey, refusingEncryption } from './encryption.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const one: EncryptionKey = { name: 'one', hex: '00112233445566778899aabbccddeeff' };
const two: EncryptionKey = { name: 'two', hex: 'ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100' };
const k24: EncryptionKey = { name: 'k24', hex: '00112233445566778899aabbccddeeff0011223344556677' };
const open = async (keys: readonly [EncryptionKey, ...EncryptionKey[]], record: string) => text(await (await createStateEncryption('enc', keys)).open(bytes(record)));

describe('reads', () => {
  test.each([
    [two, '/NXPmujsrjF+EaSZ7zZsbmz1NoTWCNp+f/y1qgPdM1Y=||two', 'text'],
    [two, 'ZSAXONK5W+6TPu1nNiOj4xOejYguUS7+LogDkQ==||two', ''],
    [two, 'IWRvfU6ysXidafa8Paknu0wCKOWBFwFYKaQiYtrdj18pHiPt4vfN8tdJ||two', 'map[a:1 b:<x>]'],
    [k24, 'fy/xSXp2JcD8mUvdX7Fgj5uQjX560cxg1+Hliu51DzQ=||k24', 'text'],
  ])('what daprd wrote: %#', async (key, record, value) => expect(await open([key], record)).toBe(value));
  test("NIST's AES-128 case", async () => {
    const record = btoa(String.fromCharCode(...new Uint8Array(12), ...Uint8Array.from('0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf'.match(/../g)!, (h) => Number.parseInt(h, 16))));
    expect(await open([{ name: 'zero', hex: '0'.repeat(32) }], `${record}||zero`)).toBe('\0'.repeat(16));
  });
  test('nothing as nothing', async () => expect(await open([one], '')).toBe(''));
});

describe('a value comes back', () => {
  test.each(['5', '12345678', '-1.5e300', 'true', 'null', '{"a":1,"b":[null,"<x>"]}', '[]', '[1,"a",null]'])('as its JSON: %s', async (json) => {
    const encryption = await createStateEncryption('enc', [one]);
    const sealed = await encryption.seal({ json });
    expect(text(await encryption.open((sealed as { bytes: Uint8Array }).bytes))).toBe(json);
  });
  test.each([['"text"', 'text'], ['""', ''], ['"\\"q\\""', '"q"'], ['"a\\u00fc\\ud83d\\ude00\\n"', 'aü😀\n']])('as the bare text of a string: %s', async (json, bare) => {
    const encryption = await createStateEncryption('enc', [two]);
    expect(text(await encryption.open(((await encryption.seal({ json })) as { bytes: Uint8Array }).bytes))).toBe(bare);
  });
  test('as the bytes it was', async () => {
    const encryption = await createStateEncryption('enc', [k24]);
    const value = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256);
    expect(await encryption.open(((await encryption.seal({ bytes: value })) as { bytes: Uint8Array }).bytes)).toEqual(value);
  });
});

test('a record is base64 of nonce, ciphertext and tag, then the name; no two are alike', async () => {
  const encryption = await createStateEncryption('enc', [one]);
  const records = await Promise.all(Array.from({ length: 50 }, async () => text(((await encryption.seal({ json: '"text"' })) as { bytes: Uint8Array }).bytes)));
  for (const record of records) expect(record).toMatch(/^[A-Za-z0-9+/]{43}=\|\|one$/);
  expect(new Set(records).size).toBe(50);
});

describe('rotation', () => {
  const record = async (key: EncryptionKey) => text(((await (await createStateEncryption('enc', [key])).seal({ json: '1' })) as { bytes: Uint8Array }).bytes);
  test('writes with the first key, reads with both', async () => {
    const encryption = await createStateEncryption('enc', [two, one]);
    expect(text(await encryption.open(bytes(await record(one))))).toBe('1');
    expect(text(((await encryption.seal({ json: '1' })) as { bytes: Uint8Array }).bytes)).toMatch(/\|\|two$/);
  });
  test('both keys may have one name, or none, or one with the separator', async () => {
    for (const name of ['same', '', 'a||b']) {
      const [fresh, old] = [{ ...two, name }, { ...one, name }];
      expect([await open([fresh, old], await record(old)), await open([fresh, old], await record(fresh))]).toEqual(['1', '1']);
    }
  });
});

describe('a record that cannot be opened is an error', () => {
  const cannot = 'could not decrypt data for state store enc: ';
  test.each([
    ['"just json"', `${cannot}the record is not encrypted`],
    ['AAAA||', `${cannot}encryption key name not found on record`],
    ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA||other', `${cannot}it was encrypted with a key that is not configured`],
    ['AAAA||one', `${cannot}the record is cut`],
    ['***||one', 'illegal base64 data at input byte 0'],
    ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA||one', 'cipher: message authentication failed'],
  ])('%s', async (record, message) => await expect(open([one], record)).rejects.toThrow(message));
  test('one changed bit', async () => {
    const encryption = await createStateEncryption('enc', [one]);
    const { bytes: sealed } = (await encryption.seal({ json: '"text"' })) as { bytes: Uint8Array };
    const at = 20;
    sealed[at] = sealed[at] === 65 ? 66 : 65;
    await expect(encryption.open(sealed)).rejects.toThrow('message authentication failed');
  });
});

test.each([
  ['xyz', /^encoding\/hex: character 1 /], ['0011223344556677889', /^encoding\/hex: odd length/], ['0011', /^crypto\/aes: invalid key size 2$/], ['', /^crypto\/aes: invalid key size 0$/], ['00'.repeat(33), /invalid key size 33$/],
])('%j is no key', async (hex, message) => {
  const error = await createStateEncryption('enc', [{ name: 'k', hex }]).then(() => '', (e: Error) => e.message);
  expect(error).toMatch(message);
  if (hex !== '') expect(error).not.toContain(hex);
});

test('without its key a store refuses', async () => {
  const refusing = refusingEncryption('enc', 'because');
  await expect(refusing.seal({ json: '1' })).rejects.toThrow('could not encrypt data for state store enc: because');
  await expect(refusing.open(bytes('"plain"'))).rejects.toThrow('could not decrypt data for state store enc: because');
});
