// bindings.gcp.bucket: objects of a bucket in Google Cloud Storage.
import { defineBinding, type InvokeResult } from '../../blocks/bindings/port.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { parseDuration } from '../../core/duration.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { goStringify, int, parseWhole, type Reader, string, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, isTruthy, schema } from '../../core/metadata.ts';
import { GoogleFailure, googleStorage, signedUrl, type StoredObject } from '../gcp/storage-api.ts';
import { objectAttributes } from '../gcp/storage-object.ts';
import { unquote } from './unquote.ts';

const mostListed = 1000;
const listPayload = struct('bucket.listPayload', { prefix: string, maxResults: int, delimiter: string });
const toBucket = struct('bucket.payload', { destinationBucket: string });
const toName = struct('bucket.renamePayload', { newName: string });

type Wanted = Readonly<Record<string, string>>;
type Abort = AbortSignal | undefined;
const failure = (why: string, cause?: unknown) => new AdapterError('invalid', why, cause);
const isMissing = (error: unknown): boolean => error instanceof GoogleFailure && error.status === 404;
const said = (text: string): InvokeResult => ({ data: utf8(text), metadata: {} });

export default defineBinding({
  type: 'bindings.gcp.bucket',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Writes, reads, lists, copies and deletes objects of a bucket in Google Cloud Storage.',
  metadata: schema(
    {
      bucket: field.text().default('').describe('Name of the bucket. Required'),
      projectID: field.text().default('').describe('Project of the bucket. Required'),
      privateKeyID: field.text().default('').describe("Id of the service account's key. Absent: the credentials of the environment"),
      privateKey: field.text().default('').describe('Private key of the service account (PEM)'),
      clientEmail: field.text().default('').describe('Address of the service account'),
      tokenURI: field.text().default('').describe("Where tokens are asked for; default: Google's own"),
      contentType: field.text().default('').describe('Type of what is stored; also in the metadata of a request. Default: plain text where it is text'),
      decodeBase64: field.flag().default(false).describe('Data is base64 and is decoded before it is stored; also in the metadata of a request'),
      encodeBase64: field.flag().default(false).describe('Objects are read as base64; also in the metadata of a request'),
      signTTL: field.text().default('').describe('How long signed addresses are good; also in the metadata of a request'),
    },
    { project_id: 'projectID', private_key_id: 'privateKeyID', private_key: 'privateKey', client_email: 'clientEmail', token_uri: 'tokenURI' },
  ),
  open: async (metadata, { host }) => {
    const { bucket } = metadata;
    if (bucket === '') throw new Error('missing property `bucket` in metadata');
    if (metadata.projectID === '') throw new Error('missing property `project_id` in metadata');
    const key = metadata.privateKeyID === '' ? undefined : { clientEmail: metadata.clientEmail, privateKey: metadata.privateKey, privateKeyId: metadata.privateKeyID, tokenUri: metadata.tokenURI };
    const storage = await googleStorage(host, key);
    const flag = (wanted: Wanted, name: 'decodeBase64' | 'encodeBase64'): boolean => (wanted[name] ? isTruthy(wanted[name]) : metadata[name]);
    /** `name` is what `key` was called before. */
    const named = (wanted: Wanted): string => wanted.name || wanted.key || '';
    const required = (wanted: Wanted): string => {
      const name = named(wanted);
      if (name === '') throw failure("gcp bucket binding error: can't read key value");
      return name;
    };
    const trying = <T>(what: string, work: Promise<T>): Promise<T> =>
      work.catch((error) => {
        throw new AdapterError('internal', `gcp bucket binding error ${what}: ${textOf(error)}`, error);
      });

    const create = async (data: Uint8Array, wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const name = named(wanted) || crypto.randomUUID();
      const unquoted = unquote(textOfBytes(data));
      const plain = unquoted === undefined ? data : utf8(unquoted);
      const content = flag(wanted, 'decodeBase64') ? decoded(plain) : plain;
      await trying('while flushing', storage.upload(bucket, name, content, wanted.contentType || metadata.contentType || usualType(content), signal));
      return said(goStringify({ objectURL: `https://storage.googleapis.com/${bucket}/${encodeURI(name.toWellFormed())}` }));
    };
    const get = async (wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const data = await storage.download(bucket, required(wanted), signal).catch((error) => {
        throw isMissing(error) ? failure('object not found', error) : new AdapterError('internal', `gcp bucketgcp bucket binding error while downloading object: ${textOf(error)}`, error);
      });
      return { data: flag(wanted, 'encodeBase64') ? utf8(toBase64(data)) : data, metadata: {} };
    };
    const remove = async (wanted: Wanted, signal: Abort): Promise<null> => {
      if (named(wanted) === '') throw failure("gcp bucketgcp bucket binding error: can't read key value");
      await storage.remove(bucket, named(wanted), signal).catch((error) => {
        throw isMissing(error) ? failure('object not found', error) : error;
      });
      return null;
    };
    /** Objects, then what stands for the rest, page by page, at most so many. */
    const found = async (query: { prefix: string; delimiter: string }, most: number, signal: Abort): Promise<{ object: StoredObject; prefix: string }[]> => {
      const all: { object: StoredObject; prefix: string }[] = [];
      const asked = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
      let pageToken = '';
      do {
        const page = await storage.page(bucket, pageToken === '' ? asked : { ...asked, pageToken }, signal);
        for (const object of page.items ?? []) all.push({ object, prefix: '' });
        for (const prefix of page.prefixes ?? []) all.push({ object: {}, prefix });
        pageToken = page.nextPageToken ?? '';
      } while (pageToken !== '' && all.length < most);
      return all.slice(0, most);
    };
    const listed = async (data: Uint8Array, signal: Abort): Promise<InvokeResult> => {
      const { prefix, delimiter, maxResults } = payload(listPayload, data, undefined);
      const objects = await trying('while listing', found({ prefix, delimiter }, maxResults > 0 ? maxResults : mostListed, signal));
      return said(objects.length === 0 ? 'null' : goStringify(objects.map((one) => objectAttributes(one.object, one.prefix))));
    };
    const sign = async (wanted: Wanted): Promise<InvokeResult> => {
      const name = required(wanted);
      const ttl = wanted.signTTL || metadata.signTTL;
      if (ttl === '') throw failure("gcp bucket binding error: required metadata 'signTTL' missing");
      const ms = parseDuration(ttl);
      if (ms === undefined) throw failure(`gcp bucket binding error: gcp bucket binding error while parsing signTTL: time: invalid duration ${JSON.stringify(ttl)}`);
      if (key === undefined) throw failure(`gcp bucket binding error: Bucket(${JSON.stringify(bucket)}).SignedURL: a service account's key is needed in the metadata of the component`);
      return said(goStringify({ signURL: await signedUrl(key, bucket, name, Math.trunc(ms / 1000), new Date()) }));
    };
    const bulkGet = async (wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const objects = await trying('while reading objects', found({ prefix: '', delimiter: '' }, Number.POSITIVE_INFINITY, signal));
      const results: object[] = [];
      const left = [...objects.entries()].reverse();
      const worker = async () => {
        for (let next = left.pop(); next !== undefined; next = left.pop()) {
          const [i, { object }] = next;
          const name = object.name ?? '';
          const data = await storage.download(bucket, name, signal);
          results[i] = { name, data: toBase64(flag(wanted, 'encodeBase64') ? utf8(toBase64(data)) : data), attrs: objectAttributes(object) };
        }
      };
      await trying('while reading objects', Promise.all(Array.from({ length: Math.min(10, host.maxParallel, objects.length) }, worker)));
      return said(goStringify(results));
    };
    /** Copies, and removes what was copied where it moves. */
    const transfer = async (name: string, to: { bucket: string; name: string }, moves: boolean, signal: Abort): Promise<void> => {
      // moved onto itself it would be gone
      if (moves && to.bucket === bucket && to.name === name) throw failure('gcp bucket binding error: source and destination are the same object');
      await trying('while copying object', storage.copy({ bucket, name }, to, signal));
      if (moves) await trying('while deleting object', storage.remove(bucket, name, signal));
    };
    const toOther = async (operation: 'copy' | 'move', data: Uint8Array, wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const name = required(wanted);
      const { destinationBucket } = payload(toBucket, data, `gcp bucket binding error: invalid ${operation} payload`);
      if (destinationBucket === '') throw failure("gcp bucket binding error: required 'destinationBucket' missing");
      await transfer(name, { bucket: destinationBucket, name }, operation === 'move', signal);
      return said(`object ${name} ${operation === 'move' ? 'moved' : 'copied'} to ${destinationBucket}`);
    };
    const rename = async (data: Uint8Array, wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const name = required(wanted);
      const { newName } = payload(toName, data, 'gcp bucket binding error: invalid rename payload');
      if (newName === '') throw failure("gcp bucket binding error: required 'newName' missing");
      await transfer(name, { bucket, name: newName }, true, signal);
      return said(`object ${name} renamed to ${newName}`);
    };

    return {
      operations: ['create', 'get', 'delete', 'list', 'sign', 'bulkGet', 'copy', 'rename', 'move'],
      invoke: async ({ operation, data, metadata: wanted }, { signal }): Promise<InvokeResult | null> => {
        switch (operation) {
          case 'create':
            return create(data, wanted, signal);
          case 'get':
            return get(wanted, signal);
          case 'delete':
            return remove(wanted, signal);
          case 'list':
            return listed(data, signal);
          case 'sign':
            return sign(wanted);
          case 'bulkGet':
            return bulkGet(wanted, signal);
          case 'rename':
            return rename(data, wanted, signal);
          default:
            return toOther(operation === 'move' ? 'move' : 'copy', data, wanted, signal);
        }
      },
      close: async () => undefined,
    };
  },
});

/** `wrong`: the error whatever is wrong; undefined: the decoder's own words. */
function payload<T>(reader: Reader<T>, data: Uint8Array, wrong: string | undefined): T {
  try {
    const value = parseWhole(textOfBytes(data));
    return reader.read(value === null ? {} : value, '');
  } catch (error) {
    throw failure(wrong ?? textOf(error), error);
  }
}

function decoded(data: Uint8Array): Uint8Array {
  try {
    return fromBase64(textOfBytes(data));
  } catch (error) {
    throw failure('gcp bucket binding error while uploading: illegal base64 data', error);
  }
}

/** Text is told from bytes by the control characters it does not have. */
function usualType(data: Uint8Array): string {
  const isText = !data.subarray(0, 512).some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
  return isText ? 'text/plain; charset=utf-8' : 'application/octet-stream';
}
