// Settings of Azure Blob Storage and the headers of a blob (Dapr: components-contrib/common/component/azure/blobstorage).
import { fromBase64 } from '../../core/base64.ts';
import { AdapterError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { field } from '../../core/metadata.ts';
import { azureCloud } from './cloud.ts';
import { entraAliases, entraFields, type EntraSettings } from './entra-settings.ts';
import { storageAccount, type StorageAccount, storageKey } from './storage-client.ts';

export const blobFields = {
  connectionString: field.text().default('').describe('Connection string of the storage account; goes before accountName and accountKey'),
  accountName: field.text().default('').describe('Name of the storage account. Required without a connection string'),
  accountKey: field.text().default('').describe('Key of the storage account. Without it and a connection string: Microsoft Entra ID'),
  containerName: field.text().default('').describe('Name of the container. Required'),
  endpoint: field.text().default('').describe('Address of an emulator or another cloud, such as http://127.0.0.1:10000'),
  retryCount: field.integer().default(3).describe('How often a call is made again that the service could not answer'),
  publicAccessLevel: field.text().default('').describe('Who may read without a key, where the container is made anew: none (default), blob or container'),
  disableEntityManagement: field.flag().default(false).describe('The container is there already and is not made'),
  ...entraFields,
};
export const blobAliases = {
  storageAccount: 'accountName', storageAccountName: 'accountName', accessKey: 'accountKey', storageAccessKey: 'accountKey', storageAccountKey: 'accountKey', container: 'containerName', storageAccountContainer: 'containerName',
  storageEndpoint: 'endpoint', storageAccountEndpoint: 'endpoint', queueEndpointUrl: 'endpoint', getBlobRetryCount: 'retryCount',
  ...entraAliases,
};

export interface BlobSettings extends EntraSettings {
  connectionString: string;
  accountName: string;
  accountKey: string;
  containerName: string;
  endpoint: string;
  publicAccessLevel: string;
}

/** Throws where something is missing, wrong or not supported. */
export async function blobAccount(settings: BlobSettings, host: Host, log: Logger): Promise<{ account: StorageAccount; publicAccess: '' | 'blob' | 'container' }> {
  const { connectionString, accountName, accountKey, publicAccessLevel } = settings;
  if (connectionString === '' && accountName === '') throw new Error('missing or empty accountName field from metadata');
  if (settings.containerName === '') throw new Error('missing or empty containerName field from metadata');
  azureCloud(settings.azureEnvironment); // upstream refuses an unknown one, used or not
  const publicAccess = publicAccessLevel === 'none' ? '' : publicAccessLevel;
  if (publicAccess !== '' && publicAccess !== 'blob' && publicAccess !== 'container') throw new Error(`invalid public access level: ${publicAccessLevel}; allowed: [blob container]`);
  if (connectionString !== '') return { account: await connectedAccount(connectionString), publicAccess };
  return { account: await storageAccount('blob', { accountName, accountKey, endpoint: settings.endpoint }, settings, host, log), publicAccess };
}

export async function connectedAccount(text: string): Promise<StorageAccount> {
  const parts = new Map(text.split(';').flatMap((part): [string, string][] => {
    const equals = part.indexOf('=');
    return equals < 0 ? [] : [[part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1)]];
  }));
  const [name, key] = [parts.get('accountname'), parts.get('accountkey')];
  if (!name || !key) throw new Error('cannot init blob storage container client with connection string: connection string needs AccountName and AccountKey');
  const endpoint = parts.get('blobendpoint') || `${parts.get('defaultendpointsprotocol') || 'https'}://${name}.blob.${parts.get('endpointsuffix') || 'core.windows.net'}`;
  if (!URL.canParse(endpoint)) throw new Error('cannot init blob storage container client with connection string: BlobEndpoint is no URL');
  const url = new URL(endpoint);
  return { name, access: { key: await storageKey(key) }, origin: url.origin, base: url.pathname.replace(/\/+$/, '') };
}

const described: Readonly<Record<string, string>> = {
  contenttype: 'x-ms-blob-content-type', contentmd5: 'x-ms-blob-content-md5', contentencoding: 'x-ms-blob-content-encoding', contentlanguage: 'x-ms-blob-content-language', contentdisposition: 'x-ms-blob-content-disposition', cachecontrol: 'x-ms-blob-cache-control',
};

/** What the metadata of a request says of the blob itself becomes its headers, everything else its own metadata: letters and digits in names, ASCII in values. */
export function blobHeaders(metadata: Readonly<Record<string, string>>, log: Logger): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    const header = described[name.toLowerCase()];
    if (header !== undefined && value !== '') {
      if (header.endsWith('md5')) {
        if (!isMd5(value)) throw new AdapterError('invalid', 'the MD5 value specified in Content MD5 is invalid, MD5 value must be 128 bits and base64 encoded');
        headers['Content-MD5'] = value;
      }
      headers[header] = value;
      continue;
    }
    const allowed = name.replace(/[^A-Za-z0-9]/g, '');
    if (allowed !== name) log.debug(`metadata key ${name} contains disallowed characters, sanitized to ${allowed}`);
    if (allowed !== '') headers[`x-ms-meta-${allowed}`] = value.replace(/[^\t\x20-\x7e]/g, '').trim();
  }
  return headers;
}

function isMd5(text: string): boolean {
  try {
    return fromBase64(text).length === 16;
  } catch {
    return false;
  }
}
