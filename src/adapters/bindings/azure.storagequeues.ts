// bindings.azure.storagequeues: messages of an Azure Storage queue, written and read.
import { defineBinding, type EventHandler } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { parseDuration } from '../../core/duration.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { pause } from '../../core/pause.ts';
import { entraAliases, entraFields } from '../azure/entra-settings.ts';
import { storageAccount, type StorageAnswer, storageCall, type StorageRequest } from '../azure/storage-client.ts';
import { elementsOf, escapeXml, fieldOf } from '../azure/storage-xml.ts';
import { ttlOf } from './ttl.ts';
import { unquote } from './unquote.ts';
import { createOpenReaders } from '../open-readers.ts';

const usualTtlSeconds = 600;
/** After a failed look into the queue; daprd looks again at once, for ever. */
const afterFailureMs = 1000;

export default defineBinding({
  type: 'bindings.azure.storagequeues',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Writes messages to an Azure Storage queue, and reads them.',
  metadata: schema(
    {
      accountName: field.text().default('').describe('Name of the storage account. Required'),
      accountKey: field.text().default('').describe('Key of the storage account. Without it: Microsoft Entra ID'),
      queueName: field.text().default('').describe('Name of the queue, which is made where it is missing. Required'),
      queueEndpoint: field.text().default('').describe('Address of an emulator or another cloud, such as http://127.0.0.1:10001'),
      pollingInterval: field.duration().default(10_000).describe('How long to wait before an empty queue is looked into again; at least 100ms'),
      ttl: field.text().default('').describe('How long messages live, as a duration or in seconds; default 10m; also in the metadata of a request'),
      decodeBase64: field.flag().default(false).describe('Messages are base64 and reach the app decoded'),
      encodeBase64: field.flag().default(false).describe('Data is written as base64'),
      visibilityTimeout: field.duration().default(30_000).describe('How long a message that was read is hidden from others; then it comes again where it was not deleted'),
      initialVisibilityDelay: field.duration().optional().describe('How long a new message is hidden; also in the metadata of a request'),
      ...entraFields,
    },
    {
      storageAccount: 'accountName', storageAccountName: 'accountName', accessKey: 'accountKey', storageAccessKey: 'accountKey', storageAccountKey: 'accountKey', queue: 'queueName', storageAccountQueue: 'queueName',
      endpoint: 'queueEndpoint', storageEndpoint: 'queueEndpoint', storageAccountEndpoint: 'queueEndpoint', queueEndpointUrl: 'queueEndpoint', ttlInSeconds: 'ttl',
      ...entraAliases,
    },
  ),
  open: async (metadata, { host, log, signal: opening }) => {
    for (const name of ['accountName', 'queueName'] as const) if (metadata[name] === '') throw new Error(`missing or empty ${name} field from metadata`);
    if (metadata.pollingInterval < 100) throw new Error("invalid value for 'pollingInterval': must be greater than 100ms");
    const usualTtl = metadata.ttl === '' ? undefined : ttlOf({ ttl: metadata.ttl });
    if (usualTtl instanceof AdapterError) throw usualTtl;
    const { accountName, accountKey, decodeBase64, encodeBase64 } = metadata;
    const account = await storageAccount('queue', { accountName, accountKey, endpoint: metadata.queueEndpoint }, metadata, host, log);
    const queue = `/${encodeURIComponent(metadata.queueName)}`;
    const messages = `${queue}/messages`;
    const call = (request: StorageRequest): Promise<StorageAnswer> => storageCall(host.http, account, request);
    await call({ method: 'PUT', path: queue, signal: opening });

    /** Reads one message; false: there was none. */
    const readOne = async (handler: EventHandler, signal: AbortSignal): Promise<boolean> => {
      const { body } = await call({ method: 'GET', path: messages, query: { numofmessages: '1', visibilitytimeout: seconds(metadata.visibilityTimeout) }, signal });
      const [message] = elementsOf(textOfBytes(body), 'QueueMessage');
      if (message === undefined) return false;
      const text = fieldOf(message, 'MessageText') ?? '';
      const [id, receipt] = [fieldOf(message, 'MessageId') ?? '', fieldOf(message, 'PopReceipt') ?? ''];
      const told = {
        messageID: id,
        popReceipt: receipt,
        insertionTime: timeText(fieldOf(message, 'InsertionTime')),
        expirationTime: timeText(fieldOf(message, 'ExpirationTime')),
        nextVisibleTime: timeText(fieldOf(message, 'TimeNextVisible')),
        dequeueCount: fieldOf(message, 'DequeueCount') ?? '',
      };
      await handler({ data: decodeBase64 ? decoded(text) : utf8(text), metadata: told }, background);
      // it was taken: it goes, even where the reading ends meanwhile
      await call({ method: 'DELETE', path: `${messages}/${encodeURIComponent(id)}`, query: { popreceipt: receipt } });
      return true;
    };

    const readers = createOpenReaders();
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const ttl = ttlOf(wanted) ?? usualTtl ?? usualTtlSeconds;
        if (ttl instanceof AdapterError) throw ttl;
        const delay = wanted.initialVisibilityDelay ? parseDuration(wanted.initialVisibilityDelay) : metadata.initialVisibilityDelay;
        if (wanted.initialVisibilityDelay && delay === undefined) throw new AdapterError('invalid', `invalid value for initialVisibilityDelay: time: invalid duration ${JSON.stringify(wanted.initialVisibilityDelay)}`);
        const raw = textOfBytes(data);
        const text = unquote(raw) ?? raw;
        const sent = encodeBase64 ? toBase64(text === raw ? data : utf8(text)) : text;
        await call({
          method: 'POST',
          path: messages,
          query: { messagettl: String(ttl), ...(delay === undefined ? {} : { visibilitytimeout: seconds(delay) }) },
          headers: { 'Content-Type': 'application/xml' },
          body: utf8(`<?xml version="1.0" encoding="utf-8"?><QueueMessage><MessageText>${escapeXml(sent)}</MessageText></QueueMessage>`),
          signal,
        });
        return null;
      },
      read: async (handler) => {
        const stop = new AbortController();
        const { signal } = stop;
        const running = (async () => {
          while (!signal.aborted) {
            try {
              if (!(await readOne(handler, signal))) await pause(metadata.pollingInterval, signal);
            } catch (error) {
              if (signal.aborted) break;
              log.error(`error from c: ${textOf(error)}`);
              await pause(afterFailureMs, signal);
            }
          }
        })();
        return readers.keep({
          close: async () => {
            stop.abort();
            await running;
          },
        });
      },
      close: readers.close,
    };
  },
});

const seconds = (ms: number): string => String(Math.trunc(ms / 1000));

/** `Fri, 09 Oct 2026 21:04:30 GMT` as RFC 3339. */
const timeText = (text: string | undefined): string => (text === undefined || Number.isNaN(Date.parse(text)) ? '' : new Date(text).toISOString().replace('.000Z', 'Z'));

function decoded(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (error) {
    throw new AdapterError('invalid', 'illegal base64 data', error);
  }
}
