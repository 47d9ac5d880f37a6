// Who reads which partition of an Event Hub, and how far: blobs laid out as Microsoft's and Dapr's clients have them, so that all of them can share one container.
import type { Checkpoint, CheckpointStore, PartitionOwnership } from '@azure/event-hubs';
import { headerOf, type RawHeaders } from '../../core/host.ts';
import type { BlobContainer } from './blob-container.ts';
import { blobName } from './blob-item.ts';
import { StorageFailure } from './storage-client.ts';
import { elementsOf, fieldOf } from './storage-xml.ts';

export interface Checkpoints extends CheckpointStore {
  /** Writes down where reading begins, where nothing is written down yet. */
  begin(partitionId: string, offset: string, sequenceNumber: number): Promise<void>;
}

/** `namespace`, `hub` and `group` as the metadata spells them: Dapr's names keep their case. */
export function createCheckpoints(container: BlobContainer, namespace: string, hub: string, group: string): Checkpoints {
  const prefix = `${namespace}/${hub}/${group}`;
  const entity = { fullyQualifiedNamespace: namespace, eventHubName: hub, consumerGroup: group };
  const place = (partitionId: string, offset: string, sequenceNumber: number): [string, Record<string, string>] => [`${prefix}/checkpoint/${partitionId}`, { 'x-ms-meta-offset': offset, 'x-ms-meta-sequencenumber': String(sequenceNumber) }];
  const etagOf = (headers: RawHeaders) => headerOf(headers, 'etag') ?? '';
  const listed = async (kind: 'ownership' | 'checkpoint'): Promise<{ partitionId: string; xml: string; metadata: string }[]> => {
    const folder = `${prefix}/${kind}/`;
    const found: { partitionId: string; xml: string; metadata: string }[] = [];
    let marker = '';
    do {
      const page = await container.list({ prefix: folder, marker, maxResults: undefined, include: ['metadata'] }, undefined);
      for (const xml of page.blobs) found.push({ partitionId: blobName(xml).slice(folder.length), xml, metadata: elementsOf(xml, 'Metadata')[0] ?? '' });
      marker = page.next;
    } while (marker !== '');
    return found;
  };
  return {
    listOwnership: async () =>
      (await listed('ownership')).map(({ partitionId, xml, metadata }): PartitionOwnership => ({
        ...entity,
        partitionId,
        // Nothing written: the last owner has given it up.
        ownerId: fieldOf(metadata, 'ownerid') ?? '',
        lastModifiedTimeInMs: Date.parse(fieldOf(xml, 'Last-Modified') ?? '') || 0,
        etag: fieldOf(xml, 'Etag') ?? '',
      })),
    claimOwnership: async (wanted) => {
      const claimed: PartitionOwnership[] = [];
      for (const one of wanted) {
        const name = `${prefix}/ownership/${one.partitionId}`;
        const owner = { 'x-ms-meta-ownerid': one.ownerId };
        try {
          const { headers } = await (one.etag ? container.describe(name, { ...owner, 'If-Match': one.etag }, undefined) : container.put(name, new Uint8Array(0), { ...owner, 'If-None-Match': '*' }, undefined));
          claimed.push({ ...one, etag: etagOf(headers), lastModifiedTimeInMs: Date.parse(headerOf(headers, 'last-modified') ?? '') || Date.now() });
        } catch (error) {
          // Somebody else was faster.
          if (!isTaken(error)) throw error;
        }
      }
      return claimed;
    },
    listCheckpoints: async () =>
      (await listed('checkpoint')).flatMap(({ partitionId, metadata }): Checkpoint[] => {
        const [offset, sequence] = [fieldOf(metadata, 'offset'), fieldOf(metadata, 'sequencenumber')];
        return offset === undefined || offset === '' ? [] : [{ ...entity, partitionId, offset, sequenceNumber: Number(sequence) }];
      }),
    updateCheckpoint: async ({ partitionId, offset, sequenceNumber }) => {
      const [name, headers] = place(partitionId, offset, sequenceNumber);
      try {
        await container.describe(name, headers, undefined);
      } catch (error) {
        if (!(error instanceof StorageFailure && error.status === 404)) throw error;
        await container.put(name, new Uint8Array(0), headers, undefined);
      }
    },
    begin: async (partitionId, offset, sequenceNumber) => {
      const [name, headers] = place(partitionId, offset, sequenceNumber);
      try {
        await container.put(name, new Uint8Array(0), { ...headers, 'If-None-Match': '*' }, undefined);
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    },
  };
}

/** A condition of the request was not met. */
const isTaken = (error: unknown): boolean => error instanceof StorageFailure && (error.status === 412 || error.status === 409);
