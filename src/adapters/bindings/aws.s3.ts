// bindings.aws.s3: objects of an AWS S3 bucket, or of another store with its API.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { readBody } from '../../core/body.ts';
import { parseDuration } from '../../core/duration.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { goStringify, int, list, optionalString, parseWhole, type Reader, string, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import type { DiskPort } from '../../core/host.ts';
import { field, isTruthy, schema } from '../../core/metadata.ts';
import { AwsFailure, awsCalls } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';
import { type BulkResult, bulkJson, createJson, listJson, locationOf, taggingOf } from '../aws/s3-answers.ts';
import { unquote } from './unquote.ts';

const mostDeletedAtOnce = 1000; // S3's own limit
const optionalInt: Reader<number | undefined> = { go: 'int', zero: undefined, read: (value, at) => (value === null ? undefined : int.read(value, at)) };
const listPayload = struct('s3.listPayload', { marker: string, prefix: string, maxResults: int, delimiter: string });
const bulkGetPayload = struct('s3.bulkGetPayload', { items: list(struct('s3.bulkGetItem', { key: string, filePath: optionalString })), concurrency: optionalInt });
const bulkCreatePayload = struct('s3.bulkCreatePayload', { items: list(struct('s3.bulkCreateItem', { key: string, data: optionalString, contentType: optionalString, filePath: optionalString })), concurrency: optionalInt });
const bulkDeletePayload = struct('s3.bulkDeletePayload', { keys: list(string) });

export default defineBinding({
  type: 'bindings.aws.s3',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Writes, reads, lists and deletes objects of an AWS S3 bucket, one by one or many at once.',
  metadata: schema(
    {
      ...awsFields,
      bucket: field.text().default('').describe('Name of the bucket. Required'),
      decodeBase64: field.flag().default(false).describe('Data is base64 and is decoded before it is stored'),
      encodeBase64: field.flag().default(false).describe('Objects are read as base64'),
      forcePathStyle: field.flag().default(false).describe('The bucket stands in the path and not in the host name, as most other stores want it'),
      disableSSL: field.flag().default(false).describe('An endpoint without a scheme is called over http'),
      insecureSSL: field.flag().default(false).describe('The certificate of the endpoint is not checked'),
      filePath: field.text().default('').describe('File whose content is stored instead of the data; also in the metadata of a request'),
      presignTTL: field.text().default('').describe('How long addresses made by presign, and by create, are good; also in the metadata of a request'),
      storageClass: field.text().default('').describe('Storage class of what is stored; also in the metadata of a request'),
    },
    awsAliases,
  ),
  open: async (metadata, { host, log }) => {
    const bare = metadata.disableSSL && metadata.endpoint !== '' && !/^https?:\/\//.test(metadata.endpoint);
    const endpoint = bare ? `http://${metadata.endpoint}` : metadata.endpoint;
    const settings = awsClientSettings({ ...metadata, endpoint }, host, metadata.insecureSSL);
    if (metadata.insecureSSL) log.info("aws s3: you are using 'insecureSSL' to skip server config verify which is unsafe!");
    const { DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, ListObjectsCommand, PutObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
    const client = new S3Client({ ...settings, forcePathStyle: metadata.forcePathStyle });
    const call = awsCalls('S3');
    const { bucket: Bucket, forcePathStyle } = metadata;
    type Wanted = Record<string, string>;
    const abort = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {});
    /** What the request says goes before what the component says. */
    const option = (wanted: Wanted, name: 'filePath' | 'presignTTL' | 'storageClass'): string => wanted[name] || metadata[name];
    const flag = (wanted: Wanted, name: 'decodeBase64' | 'encodeBase64'): boolean => (wanted[name] ? isTruthy(wanted[name]) : metadata[name]);

    const presigned = async (key: string, ttl: string): Promise<string> => {
      const ms = parseDuration(ttl);
      if (ms === undefined) throw failure(`s3 binding error: cannot parse duration ${ttl}: time: invalid duration ${JSON.stringify(ttl)}`);
      const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
      return getSignedUrl(client, new GetObjectCommand({ Bucket, Key: key }), { expiresIn: Math.trunc(ms / 1000) });
    };
    const disk = (): DiskPort => {
      if (host.disk === undefined) throw new Error('this runtime has no files');
      return host.disk;
    };
    const readFile = async (path: string): Promise<Uint8Array> => disk().read(disk().resolve(path));
    const writeFile = async (path: string, data: Uint8Array): Promise<void> => disk().write(disk().resolve(path), data);
    const read = async (Key: string, signal: AbortSignal | undefined): Promise<Uint8Array> => {
      const { Body } = await call('GetObject', client.send(new GetObjectCommand({ Bucket, Key }), abort(signal)));
      return Body === undefined ? new Uint8Array(0) : (await readBody(Body.transformToWebStream() as ReadableStream<Uint8Array>)).bytes;
    };

    const create = async (data: Uint8Array, wanted: Wanted, signal: AbortSignal | undefined) => {
      const key = wanted.key || crypto.randomUUID();
      const contentType = (wanted['Content-Type'] ?? '').trim();
      const [filePath, storageClass, presignTTL] = [option(wanted, 'filePath'), option(wanted, 'storageClass'), option(wanted, 'presignTTL')];
      const tagging = wanted.tags === undefined ? undefined : await trying('parsing tags failed error', async () => taggingOf(wanted.tags as string));
      const content = filePath === '' ? plain(data) : await trying('file read error', () => readFile(filePath));
      const stored = await trying('uploading failed', async () => {
        const object = { Bucket, Key: key, Body: decoded(content, flag(wanted, 'decodeBase64')) };
        return call('PutObject', client.send(new PutObjectCommand({ ...object, ...(contentType === '' ? {} : { ContentType: contentType }), ...(storageClass === '' ? {} : { StorageClass: storageClass as 'STANDARD' }), ...(tagging === undefined ? {} : { Tagging: tagging }) }), abort(signal)));
      });
      const presignURL = presignTTL === '' ? '' : await trying('', () => presigned(key, presignTTL));
      return { data: utf8(createJson(locationOf(key, { bucket: Bucket, endpoint, forcePathStyle }), stored.VersionId, presignURL)), metadata: { key } };
    };
    const get = async (wanted: Wanted, signal: AbortSignal | undefined) => {
      const bytes = await read(required(wanted, 'key'), signal).catch((error) => {
        throw isMissing(error) ? failure('object not found', error) : failure(`s3 binding error: error downloading S3 object: ${textOf(error)}`, error);
      });
      return { data: flag(wanted, 'encodeBase64') ? utf8(toBase64(bytes)) : bytes, metadata: {} };
    };
    const remove = async (wanted: Wanted, signal: AbortSignal | undefined) => {
      const Key = required(wanted, 'key');
      await call('DeleteObject', client.send(new DeleteObjectCommand({ Bucket, Key }), abort(signal))).catch((error) => {
        throw isMissing(error) ? failure('object not found', error) : failure(`s3 binding error: delete operation failed: ${textOf(error)}`, error);
      });
      return null;
    };
    const listed = async (data: Uint8Array, signal: AbortSignal | undefined) => {
      const { marker, prefix, maxResults, delimiter } = data.length === 0 ? listPayload.zero : payload(listPayload, data, 's3 binding (List Operation) - unable to parse Data property - ');
      const found = await trying('list operation failed', () => call('ListObjects', client.send(new ListObjectsCommand({ Bucket, MaxKeys: maxResults < 1 ? 1000 : maxResults, Marker: marker, Prefix: prefix, Delimiter: delimiter }), abort(signal))));
      return { data: utf8(listJson(found)), metadata: {} };
    };
    const presign = async (wanted: Wanted) => {
      const key = required(wanted, 'key');
      const ttl = option(wanted, 'presignTTL');
      if (ttl === '') throw failure("s3 binding error: required metadata 'presignTTL' missing");
      return { data: utf8(goStringify({ presignURL: await trying('', () => presigned(key, ttl)) })), metadata: {} };
    };

    /** The items of a bulk request, as many at once as it asks for; what fails is told in its result. */
    const each = async <T extends { key: string }>(items: readonly T[], concurrency: number | undefined, what: string, work: (item: T) => Promise<Partial<BulkResult>>) => {
      if (items.length === 0) throw failure(`s3 binding error: ${what} requires at least one item`);
      const atOnce = concurrency ?? 10;
      if (atOnce <= 0) throw failure(`s3 binding error: concurrency must be greater than 0, got ${atOnce}`);
      const results: BulkResult[] = [];
      const left = [...items.entries()].reverse();
      const worker = async () => {
        for (let next = left.pop(); next !== undefined; next = left.pop()) {
          const [i, item] = next;
          const { key } = item;
          results[i] = key === '' ? { key, error: 'key is required' } : await work(item).then((result) => ({ key, ...result }), (error) => ({ key, error: isMissing(error) ? 'object not found' : textOf(error) }));
        }
      };
      await Promise.all(Array.from({ length: Math.min(atOnce, host.maxParallel, items.length) }, worker));
      return { data: utf8(bulkJson(results)), metadata: {} };
    };
    const bulkGet = (data: Uint8Array, wanted: Wanted, signal: AbortSignal | undefined) => {
      const { items, concurrency } = payload(bulkGetPayload, data, 's3 binding error: invalid bulkGet payload: ');
      return each(items, concurrency, 'bulkGet', async ({ key, filePath }) => {
        const bytes = await read(key, signal);
        const content = flag(wanted, 'encodeBase64') ? utf8(toBase64(bytes)) : bytes;
        if (filePath === undefined) return { data: textOfBytes(content) };
        await writeFile(filePath, content);
        return {};
      });
    };
    const bulkCreate = (data: Uint8Array, wanted: Wanted, signal: AbortSignal | undefined) => {
      const { items, concurrency } = payload(bulkCreatePayload, data, 's3 binding error: invalid bulkCreate payload: ');
      return each(items, concurrency, 'bulkCreate', async ({ key, data: text, contentType, filePath }) => {
        if (filePath === undefined && text === undefined) return { error: 'either data or filePath is required' };
        const content = filePath === undefined ? utf8(text as string) : await readFile(filePath);
        const object = { Bucket, Key: key, Body: decoded(content, flag(wanted, 'decodeBase64')), ...(contentType === undefined ? {} : { ContentType: contentType }) };
        await call('PutObject', client.send(new PutObjectCommand(object), abort(signal)));
        return { location: locationOf(key, { bucket: Bucket, endpoint, forcePathStyle }) };
      });
    };
    const bulkDelete = async (data: Uint8Array, signal: AbortSignal | undefined) => {
      const { keys } = payload(bulkDeletePayload, data, 's3 binding error: invalid bulkDelete payload: ');
      if (keys.length === 0) throw failure('s3 binding error: bulkDelete requires at least one key');
      const errors = new Map<string, string>();
      const wanted = [...new Set(keys.filter((key) => key.trim() !== ''))];
      for (let at = 0; at < wanted.length; at += mostDeletedAtOnce) {
        const batch = wanted.slice(at, at + mostDeletedAtOnce);
        try {
          const { Errors = [] } = await call('DeleteObjects', client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: batch.map((Key) => ({ Key })), Quiet: false } }), abort(signal)));
          for (const { Key, Message = 'unknown error' } of Errors) if (Key !== undefined) errors.set(Key, Message);
        } catch (error) {
          for (const key of batch) errors.set(key, textOf(error));
        }
      }
      return { data: utf8(bulkJson(keys.map((key) => ({ key, error: key.trim() === '' ? 'key is required' : (errors.get(key) ?? '') })))), metadata: {} };
    };

    return {
      operations: ['create', 'get', 'delete', 'list', 'presign', 'bulkGet', 'bulkCreate', 'bulkDelete'],
      invoke: async ({ operation, data, metadata: wanted }, { signal }) => {
        if (operation === 'create') return create(data, wanted, signal);
        if (operation === 'get') return get(wanted, signal);
        if (operation === 'delete') return remove(wanted, signal);
        if (operation === 'list') return listed(data, signal);
        if (operation === 'presign') return presign(wanted);
        if (operation === 'bulkGet') return bulkGet(data, wanted, signal);
        if (operation === 'bulkCreate') return bulkCreate(data, wanted, signal);
        if (operation === 'bulkDelete') return bulkDelete(data, signal);
        throw failure(`s3 binding error: unsupported operation ${operation}`);
      },
      close: async () => client.destroy(),
    };
  },
});

const failure = (message: string, cause?: unknown) => new AdapterError(cause instanceof AdapterError ? cause.kind : 'invalid', message, cause);
const isMissing = (error: unknown): boolean => error instanceof AwsFailure && error.code === 'NoSuchKey';

async function trying<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failure(`s3 binding error: ${what === '' ? '' : `${what}: `}${textOf(error)}`, error);
  }
}
function required(wanted: Record<string, string>, name: string): string {
  const value = wanted[name];
  if (!value) throw failure(`s3 binding error: required metadata '${name}' missing`);
  return value;
}
function payload<T>(reader: Reader<T>, data: Uint8Array, what: string): T {
  try {
    return reader.read(parseWhole(textOfBytes(data)), '');
  } catch (error) {
    throw failure(what + textOf(error), error);
  }
}
function decoded(data: Uint8Array, isBase64: boolean): Uint8Array {
  if (!isBase64) return data;
  try {
    return fromBase64(textOfBytes(data).replace(/[\r\n]/g, ''));
  } catch {
    throw new Error('illegal base64 data');
  }
}
/** A JSON string without its quotes; anything else as it is. */
function plain(data: Uint8Array): Uint8Array {
  if (data[0] !== 0x22 && data[0] !== 0x60) return data;
  const text = unquote(textOfBytes(data));
  return text === undefined ? data : utf8(text);
}
