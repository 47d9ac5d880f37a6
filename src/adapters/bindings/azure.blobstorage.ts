// bindings.azure.blobstorage: blobs of a container in Azure Blob Storage.
import { defineBinding, type InvokeResult } from '../../blocks/bindings/port.ts';
import { blobContainer, metadataOf } from '../azure/blob-container.ts';
import { blobItemJson, blobName as nameOf } from '../azure/blob-item.ts';
import { blobAccount, blobAliases, blobFields, blobHeaders } from '../azure/blob-settings.ts';
import { StorageFailure } from '../azure/storage-client.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { parseDuration } from '../../core/duration.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { bool, goStringify, int, list, optionalString, parseWhole, type Reader, string, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import type { DiskPort } from '../../core/host.ts';
import { field, parseBool, schema } from '../../core/metadata.ts';
import { unquote } from './unquote.ts';

const mostListed = 5000;
const optionalInt: Reader<number | undefined> = { go: 'int32', zero: undefined, read: (value, at) => (value === null ? undefined : int.read(value, at)) };
const include = struct('blobstorage.listInclude', { copy: bool, metadata: bool, snapshots: bool, uncommittedBlobs: bool, deleted: bool });
const listPayload = struct('blobstorage.listPayload', { marker: string, prefix: string, maxResults: int, include });
const bulkGetPayload = struct('blobstorage.bulkGetPayload', { items: list(struct('blobstorage.bulkGetItem', { blobName: string, filePath: optionalString })), prefix: optionalString, destinationDir: optionalString, concurrency: optionalInt });
const bulkCreatePayload = struct('blobstorage.bulkCreatePayload', { items: list(struct('blobstorage.bulkCreateItem', { blobName: string, sourcePath: string, data: optionalString, contentType: optionalString })), concurrency: optionalInt });
const bulkDeletePayload = struct('blobstorage.bulkDeletePayload', { prefix: optionalString, blobNames: list(string), deleteSnapshots: optionalString, concurrency: optionalInt });

type Wanted = Readonly<Record<string, string>>;
type Abort = AbortSignal | undefined;
const failure = (why: string, cause?: unknown) => new AdapterError('invalid', why, cause);
const isMissing = (error: unknown): boolean => error instanceof StorageFailure && (error.code === 'BlobNotFound' || (error.status === 404 && error.code === ''));
const answer = (json: unknown, metadata: Record<string, string> = {}): InvokeResult => ({ data: utf8(goStringify(json)), metadata });

export default defineBinding({
  type: 'bindings.azure.blobstorage',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Writes, reads, lists and deletes blobs of a container in Azure Blob Storage, one by one or many at once.',
  metadata: schema({ ...blobFields, decodeBase64: field.flag().default(false).describe('Data is base64 and is decoded before it is stored') }, blobAliases),
  open: async (metadata, { host, log, signal: opening }) => {
    const { account, publicAccess } = await blobAccount(metadata, host, log);
    const container = blobContainer(host, account, metadata.containerName, metadata.retryCount);
    if (!metadata.disableEntityManagement) {
      await container.ensure(publicAccess, opening).catch((error) => {
        throw new Error(`failed to create Azure Storage container ${metadata.containerName}: ${textOf(error)}`, { cause: error });
      });
    }
    const disk = (): DiskPort => {
      if (host.disk === undefined) throw failure('this runtime has no files');
      return host.disk;
    };
    const decoded = (data: Uint8Array): Uint8Array => {
      if (!metadata.decodeBase64) return data;
      try {
        return fromBase64(textOfBytes(data));
      } catch (error) {
        throw failure('illegal base64 data', error);
      }
    };
    const presigned = async (name: string, ttl: string): Promise<string> => {
      const ms = parseDuration(ttl);
      if (ms === undefined) throw failure(`error generating SAS URL: cannot parse signTTL duration ${JSON.stringify(ttl)}: time: invalid duration ${JSON.stringify(ttl)}`);
      if (ms <= 0) throw failure(`error generating SAS URL: signTTL must be a positive duration, got ${JSON.stringify(ttl)}`);
      return container.presigned(name, new Date(Date.now() + ms)).catch((error) => {
        throw failure(`error generating SAS URL: ${textOf(error)}`, error);
      });
    };
    const download = async (name: string, filePath: string, signal: Abort): Promise<void> => {
      const { body } = await container.get(name, signal).catch((error) => {
        throw isMissing(error) ? failure('blob not found', error) : failure(`error downloading blob to file: ${textOf(error)}`, error);
      });
      await disk().makeFolder(disk().resolve(`${filePath}/..`));
      await disk().write(filePath, body);
    };

    const create = async (data: Uint8Array, wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const blobName = wanted.blobName || crypto.randomUUID();
      const { blobName: _, signTTL, ...rest } = wanted;
      const headers = blobHeaders(rest, log);
      const unquoted = unquote(textOfBytes(data));
      const content = decoded(unquoted === undefined ? data : utf8(unquoted));
      const presignURL = signTTL ? await presigned(blobName, signTTL) : undefined;
      await container.put(blobName, content, headers, signal).catch((error) => {
        throw new AdapterError('internal', `error uploading az blob: ${textOf(error)}`, error);
      });
      return answer({ blobURL: container.urlOf(blobName), blobName, ...(presignURL === undefined ? {} : { presignURL }) }, { blobName });
    };
    const get = async (wanted: Wanted, signal: Abort): Promise<InvokeResult> => {
      const name = named(wanted);
      if (wanted.filePath) {
        await download(name, wanted.filePath, signal);
        return { data: new Uint8Array(0), metadata: { filePath: wanted.filePath } };
      }
      const { body, headers } = await container.get(name, signal).catch((error) => {
        throw isMissing(error) ? failure('blob not found', error) : failure(`error downloading az blob: ${textOf(error)}`, error);
      });
      const flag = wanted.includeMetadata;
      const withMetadata = flag ? parseBool(flag) : false;
      if (withMetadata === undefined) throw failure(`error parsing metadata: error parsing metadata \`includeMetadata\` with value \`${flag}\` as bool: strconv.ParseBool: parsing ${JSON.stringify(flag)}: invalid syntax`);
      return { data: body, metadata: withMetadata ? metadataOf(headers) : {} };
    };
    const remove = async (wanted: Wanted, signal: Abort): Promise<null> => {
      const name = named(wanted);
      await container.remove(name, snapshotsOf(wanted.deleteSnapshots), signal).catch((error) => {
        throw isMissing(error) ? failure('blob not found', error) : error;
      });
      return null;
    };
    const listed = async (data: Uint8Array, signal: Abort): Promise<InvokeResult> => {
      const { marker, prefix, maxResults, include: wanted } = payload(listPayload, data, '');
      const most = maxResults > 0 ? maxResults : mostListed;
      const words = [...(wanted.copy ? ['copy'] : []), ...(wanted.deleted ? ['deleted'] : []), ...(wanted.metadata ? ['metadata'] : []), ...(wanted.snapshots ? ['snapshots'] : []), ...(wanted.uncommittedBlobs ? ['uncommittedblobs'] : [])];
      const found: string[] = [];
      let [next, pages] = [marker, 0];
      do {
        const page = await container.list({ prefix, marker: next, maxResults: most, include: words }, signal).catch((error) => {
          throw new AdapterError('internal', `error listing blobs: ${textOf(error)}`, error);
        });
        pages++;
        found.push(...page.blobs);
        next = page.next;
      } while (next !== '' && found.length < most);
      return { data: utf8(`[${found.map(blobItemJson).join(',')}]`), metadata: { marker: next, number: String(found.length), pagesTraversed: String(pages) } };
    };
    const presign = async (wanted: Wanted): Promise<InvokeResult> => {
      const name = named(wanted);
      if (!wanted.signTTL) throw failure('signTTL is a required attribute for presign operations');
      return answer({ presignURL: await presigned(name, wanted.signTTL) });
    };

    /** Names of all blobs that begin so. */
    const namesUnder = async (prefix: string, signal: Abort): Promise<string[]> => {
      const names: string[] = [];
      let next = '';
      do {
        const page = await container.list({ prefix, marker: next, maxResults: undefined, include: [] }, signal).catch((error) => {
          throw new AdapterError('internal', `error listing blobs with prefix ${JSON.stringify(prefix)}: ${textOf(error)}`, error);
        });
        names.push(...page.blobs.map(nameOf));
        next = page.next;
      } while (next !== '');
      return names;
    };
    /** As many at once as asked for; what fails is told in its result. */
    const each = async <T extends { blobName: string }>(items: readonly T[], atOnce: number, work: (item: T) => Promise<object>): Promise<InvokeResult> => {
      const results: object[] = [];
      const left = [...items.entries()].reverse();
      const worker = async () => {
        for (let next = left.pop(); next !== undefined; next = left.pop()) {
          const [i, item] = next;
          const { blobName } = item;
          results[i] = await work(item).then((result) => ({ blobName, ...result }), (error) => ({ blobName, error: isMissing(error) ? 'blob not found' : textOf(error) }));
        }
      };
      await Promise.all(Array.from({ length: Math.min(atOnce, host.maxParallel, items.length) }, worker));
      return answer(results, { number: String(items.length) });
    };
    const bulkGet = async (data: Uint8Array, signal: Abort): Promise<InvokeResult> => {
      const { items, prefix, destinationDir, concurrency } = payload(bulkGetPayload, data, 'error parsing bulkGet payload: ');
      const atOnce = atOnceOf(concurrency);
      const all = items.filter(({ blobName }) => blobName !== '');
      if (prefix) {
        if (!destinationDir) throw failure('destinationDir is required when using prefix');
        const known = new Set(all.map(({ blobName }) => blobName));
        for (const blobName of await namesUnder(prefix, signal)) if (!known.has(blobName)) all.push({ blobName, filePath: below(destinationDir, blobName) });
      }
      if (all.length === 0) throw failure('at least one of items or prefix is required');
      return each(all, atOnce, async ({ blobName, filePath }) => {
        if (!filePath) {
          const { body } = await container.get(blobName, signal);
          return body.length === 0 ? {} : { data: toBase64(body) };
        }
        await download(blobName, filePath, signal);
        return { filePath };
      });
    };
    const bulkCreate = async (data: Uint8Array, signal: Abort): Promise<InvokeResult> => {
      const { items, concurrency } = payload(bulkCreatePayload, data, 'error parsing bulkCreate payload: ');
      if (items.length === 0) throw failure('items array must not be empty');
      for (const [i, item] of items.entries()) {
        if (item.blobName === '') throw failure(`item at index ${i} is missing blobName`);
        if (item.sourcePath === '' && item.data === undefined) throw failure(`item at index ${i} is missing both data and sourcePath`);
      }
      return each(items, atOnceOf(concurrency), async ({ blobName, sourcePath, data: text, contentType }) => {
        const raw = text !== undefined ? utf8(text) : await disk().read(sourcePath).catch((error) => {
          // Go opens the file before it reads it
          throw failure(`error opening source file: ${textOf(error).replace(/^read /, 'open ')}`, error);
        });
        try {
          await container.put(blobName, decoded(raw), contentType ? { 'x-ms-blob-content-type': contentType } : {}, signal);
        } catch (error) {
          throw failure(`error uploading blob: ${textOf(error)}`, error);
        }
        return { blobURL: container.urlOf(blobName) };
      });
    };
    const bulkDelete = async (data: Uint8Array, signal: Abort): Promise<InvokeResult> => {
      const { prefix, blobNames, deleteSnapshots, concurrency } = payload(bulkDeletePayload, data, 'error parsing bulkDelete payload: ');
      const snapshots = snapshotsOf(deleteSnapshots);
      const atOnce = atOnceOf(concurrency);
      const names = new Set([...blobNames.filter((name) => name !== ''), ...(prefix ? await namesUnder(prefix, signal) : [])]);
      if (names.size === 0) throw failure('at least one of prefix or blobNames is required');
      return each([...names].map((blobName) => ({ blobName })), atOnce, async ({ blobName }) => {
        await container.remove(blobName, snapshots, signal);
        return {};
      });
    };

    return {
      operations: ['create', 'get', 'delete', 'list', 'bulkGet', 'bulkCreate', 'bulkDelete', 'presign'],
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
          case 'presign':
            return presign(wanted);
          case 'bulkGet':
            return bulkGet(data, signal);
          case 'bulkCreate':
            return bulkCreate(data, signal);
          default:
            return bulkDelete(data, signal);
        }
      },
      close: async () => undefined,
    };
  },
});

function named({ blobName }: Wanted): string {
  if (!blobName) throw failure('blobName is a required attribute');
  return blobName;
}
function snapshotsOf(option: string | undefined): string {
  if (option && option !== 'include' && option !== 'only') throw failure(`invalid delete snapshot option type: ${option}; allowed: [include only]`);
  return option ?? '';
}
function atOnceOf(concurrency: number | undefined): number {
  if (concurrency !== undefined && concurrency <= 0) throw failure('concurrency must be greater than 0');
  return concurrency ?? 10;
}
function payload<T>(reader: Reader<T>, data: Uint8Array, prefix: string): T {
  if (data.length === 0) return reader.read({}, '');
  try {
    const value = parseWhole(textOfBytes(data));
    return reader.read(value === null ? {} : value, '');
  } catch (error) {
    throw failure(`${prefix}${textOf(error)}`, error);
  }
}
/** A path below a folder, whatever dots the name has in it. */
function below(folder: string, name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `${folder.replace(/\/+$/, '')}/${parts.join('/')}`;
}
