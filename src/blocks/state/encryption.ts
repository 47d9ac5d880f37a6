// Encryption at rest: values of a state store sealed with AES-GCM under named keys, in daprd's record format (Dapr: pkg/encryption).
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { StateValue } from './port.ts';

/** What stands between a state store and the API. Keys, etags and metadata are not encrypted. */
export interface StateEncryption {
  /** The record to keep in place of a value: base64(nonce ‖ ciphertext ‖ tag) `||` name of the key. */
  seal(value: StateValue): Promise<StateValue>;
  /** The value in a record; nothing (an empty record) stays nothing. Throws AdapterError where the record cannot be opened. */
  open(record: Uint8Array): Promise<Uint8Array>;
}

export interface EncryptionKey {
  /** What records say about who can open them: the name of the secret; '' for a key that came from no secret. */
  name: string;
  /** 16, 24 or 32 bytes in hexadecimal digits. */
  hex: string;
}

const separator = '||';
const nonceLength = 12;
const tagLength = 16;

/**
 * Writes with the first key, reads with all of them. `store` is for messages.
 * Throws an Error with the start of Go's words (`encoding/hex: …`, `crypto/aes: invalid key size …`) where a key is none.
 */
export async function createStateEncryption(store: string, keys: readonly [EncryptionKey, ...EncryptionKey[]]): Promise<StateEncryption> {
  const imported = await Promise.all(keys.map(async ({ name, hex }) => ({ name, key: await importKey(hex) })));
  const primary = imported[0] as { name: string; key: CryptoKey };
  const cannotOpen = (why: string) => new AdapterError('internal', `could not decrypt data for state store ${store}: ${why}`);
  return {
    seal: async (value) => {
      const iv = crypto.getRandomValues(new Uint8Array(nonceLength));
      const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, primary.key, plainBytes(value));
      const record = new Uint8Array(nonceLength + sealed.byteLength);
      record.set(iv);
      record.set(new Uint8Array(sealed), nonceLength);
      return { bytes: utf8(toBase64(record) + separator + primary.name) };
    },
    open: async (record) => {
      if (record.length === 0) return record;
      const text = textOfBytes(record);
      // base64 has no `|`, so the first separator ends it whatever the key is called
      const at = text.indexOf(separator);
      if (at < 0) throw cannotOpen('the record is not encrypted');
      const name = text.slice(at + separator.length);
      // one secret may hold both keys, each under an entry of its own
      const fitting = imported.filter((known) => known.name === name);
      if (fitting.length === 0) throw cannotOpen(name === '' ? 'encryption key name not found on record' : 'it was encrypted with a key that is not configured');
      const bytes = decode(text.slice(0, at));
      if (bytes.length < nonceLength + tagLength) throw cannotOpen('the record is cut');
      const algorithm = { name: 'AES-GCM', iv: bytes.subarray(0, nonceLength) };
      for (const { key } of fitting) {
        try {
          return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.subarray(nonceLength)));
        } catch {
          // WebCrypto says nothing about why; it can only be the key or the bytes
        }
      }
      throw new AdapterError('internal', 'cipher: message authentication failed');
    },
  };
}

/** For a store whose key cannot be had: better no answer than values in plain text. `why` goes into every refusal. */
export function refusingEncryption(store: string, why: string): StateEncryption {
  const refuse = (what: string) => Promise.reject(new AdapterError('internal', `could not ${what} data for state store ${store}: ${why}`));
  return { seal: () => refuse('encrypt'), open: () => refuse('decrypt') };
}

/**
 * daprd seals a string as its bare text, and clients read it like that; so do we, both ways. All else is JSON text, where daprd prints
 * Go values (`map[a:1]`, `<nil>`) nobody can read back; numbers and booleans are the same in both.
 */
function plainBytes(value: StateValue): Uint8Array<ArrayBuffer> {
  if ('bytes' in value) return value.bytes as Uint8Array<ArrayBuffer>;
  const { json } = value;
  return utf8(json.startsWith('"') ? (JSON.parse(json) as string) : json) as Uint8Array<ArrayBuffer>;
}

async function importKey(hex: string): Promise<CryptoKey> {
  const wrong = hex.search(/[^0-9a-fA-F]/);
  if (wrong >= 0) throw new Error(`encoding/hex: character ${wrong + 1} of the encryption key is no hexadecimal digit`);
  if (hex.length % 2 === 1) throw new Error('encoding/hex: odd length hex string');
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (![16, 24, 32].includes(bytes.length)) throw new Error(`crypto/aes: invalid key size ${bytes.length}`);
  return crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64(base64);
  } catch {
    const wrong = base64.search(/[^A-Za-z0-9+/\r\n]/);
    throw new AdapterError('internal', `illegal base64 data at input byte ${wrong < 0 ? base64.length : wrong}`);
  }
}
