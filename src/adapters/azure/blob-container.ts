// A container of Azure Blob Storage: what its REST API does with blobs, one call each.
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { Host, RawHeaders } from '../../core/host.ts';
import { type StorageAccount, type StorageAnswer, StorageFailure, signed, storageCall, type StorageRequest, storageVersion } from './storage-client.ts';
import { elementsOf, fieldOf } from './storage-xml.ts';

export interface BlobPage {
  /** XML of each blob, as the service describes it. */
  blobs: string[];
  /** Where the next page begins; '' at the end. */
  next: string;
}
export interface BlobContainer {
  /** Makes the container where it is missing. */
  ensure(publicAccess: '' | 'blob' | 'container', signal: AbortSignal): Promise<void>;
  /** `headers` besides those of the protocol. */
  put(name: string, data: Uint8Array, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<StorageAnswer>;
  /** Replaces the metadata of a blob that is there; its names come with `x-ms-meta-` in front, among other headers. */
  describe(name: string, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<StorageAnswer>;
  get(name: string, signal: AbortSignal | undefined): Promise<StorageAnswer>;
  remove(name: string, snapshots: string, signal: AbortSignal | undefined): Promise<void>;
  /** `include`: the service's own words. */
  list(options: { prefix: string; marker: string; maxResults: number | undefined; include: readonly string[] }, signal: AbortSignal | undefined): Promise<BlobPage>;
  urlOf(name: string): string;
  /** An address that lets whoever has it read the blob until then. */
  presigned(name: string, until: Date): Promise<string>;
}

/** One segment of a path, as Go's url.PathEscape writes it. */
const segment = (text: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replace(/%(24|26|2B|3A|3D|40)/g, (escaped) => decodeURIComponent(escaped))
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export function blobContainer(host: Host, account: StorageAccount, container: string, retries: number): BlobContainer {
  const folder = `/${segment(container)}`;
  const pathOf = (name: string) => `${folder}/${segment(name)}`;
  const call = (request: StorageRequest): Promise<StorageAnswer> => storageCall(host.http, account, request, retries);
  const urlOf = (name: string) => `${account.origin}${account.base}${pathOf(name)}`;
  return {
    ensure: async (publicAccess, signal) => {
      try {
        await call({ method: 'PUT', path: folder, query: { restype: 'container' }, headers: publicAccess === '' ? {} : { 'x-ms-blob-public-access': publicAccess }, signal });
      } catch (error) {
        if (!(error instanceof StorageFailure && ['ContainerAlreadyExists', 'ResourceAlreadyExists'].includes(error.code))) throw error;
      }
    },
    put: (name, body, headers, signal) => call({ method: 'PUT', path: pathOf(name), headers: { 'Content-Type': 'application/octet-stream', 'x-ms-blob-type': 'BlockBlob', ...headers }, body, signal }),
    describe: (name, headers, signal) => call({ method: 'PUT', path: pathOf(name), query: { comp: 'metadata' }, headers, signal }),
    get: (name, signal) => call({ method: 'GET', path: pathOf(name), signal }),
    remove: async (name, snapshots, signal) => void (await call({ method: 'DELETE', path: pathOf(name), headers: snapshots === '' ? {} : { 'x-ms-delete-snapshots': snapshots }, signal })),
    list: async ({ prefix, marker, maxResults, include }, signal) => {
      const query = { restype: 'container', comp: 'list', ...(prefix === '' ? {} : { prefix }), ...(marker === '' ? {} : { marker }), ...(maxResults === undefined ? {} : { maxresults: String(maxResults) }), ...(include.length === 0 ? {} : { include: include.join(',') }) };
      const { body } = await call({ method: 'GET', path: folder, query, signal });
      const xml = textOfBytes(body);
      return { blobs: elementsOf(xml, 'Blob'), next: fieldOf(xml, 'NextMarker') ?? '' };
    },
    urlOf,
    presigned: async (name, until) => {
      if (!('key' in account.access)) throw new AdapterError('invalid', 'failed to generate SAS URL (ensure the binding is configured with an account key or connection string): SAS can only be signed with a SharedKeyCredential');
      const expiry = until.toISOString().replace(/\.\d+Z$/, 'Z');
      // Source: Azure Storage's documentation, "Create a service SAS": permissions, start, expiry, resource, …, version, kind; what is empty is not used.
      const signature = await signed(account.access.key, ['r', '', expiry, `/blob/${account.name}/${container}/${name}`, '', '', '', storageVersion, 'b', '', '', '', '', '', '', ''].join('\n'));
      return `${urlOf(name)}?se=${encodeURIComponent(expiry)}&sig=${encodeURIComponent(signature)}&sp=r&sr=b&sv=${storageVersion}`;
    },
  };
}

/** Metadata of a blob from the headers of an answer: names as Go's client spells them. */
export function metadataOf(headers: RawHeaders): Record<string, string> {
  const found: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const [, name] = /^x-ms-meta-(.+)$/i.exec(headers[i] as string) ?? [];
    if (name !== undefined) found[name.toLowerCase().replace(/^.|-./g, (c) => c.toUpperCase())] = headers[i + 1] as string;
  }
  return found;
}

