// A blob in a list, as the SDK for Go prints it: every property, null where the service says nothing.
import { goStringify } from '../../core/go-json.ts';
import { elementsOf, fieldOf, unescapeXml } from './storage-xml.ts';

type Reader = (text: string) => unknown;
const text: Reader = (value) => value;
const number: Reader = (value) => Number(value);
const truth: Reader = (value) => value === 'true';
const time: Reader = (value) => new Date(value).toISOString().replace('.000Z', 'Z');

/** Name in the answer, name in the service's XML where it is another, how it is read. Source: azblob's BlobProperties. */
const properties: readonly [string, string, Reader][] = [
  ['ETag', 'Etag', text], ['LastModified', 'Last-Modified', time], ['AccessTier', 'AccessTier', text], ['AccessTierChangeTime', 'AccessTierChangeTime', time], ['AccessTierInferred', 'AccessTierInferred', truth], ['ArchiveStatus', 'ArchiveStatus', text],
  ['BlobSequenceNumber', 'x-ms-blob-sequence-number', number], ['BlobType', 'BlobType', text], ['CacheControl', 'Cache-Control', text], ['ContentDisposition', 'Content-Disposition', text], ['ContentEncoding', 'Content-Encoding', text],
  ['ContentLanguage', 'Content-Language', text], ['ContentLength', 'Content-Length', number], ['ContentMD5', 'Content-MD5', text], ['ContentType', 'Content-Type', text], ['CopyCompletionTime', 'CopyCompletionTime', time], ['CopyID', 'CopyId', text],
  ['CopyProgress', 'CopyProgress', text], ['CopySource', 'CopySource', text], ['CopyStatus', 'CopyStatus', text], ['CopyStatusDescription', 'CopyStatusDescription', text], ['CreationTime', 'Creation-Time', time],
  ['CustomerProvidedKeySHA256', 'CustomerProvidedKeySha256', text], ['DeletedTime', 'DeletedTime', time], ['DestinationSnapshot', 'DestinationSnapshot', text], ['EncryptionScope', 'EncryptionScope', text], ['ExpiresOn', 'Expiry-Time', time],
  ['ImmutabilityPolicyExpiresOn', 'ImmutabilityPolicyUntilDate', time], ['ImmutabilityPolicyMode', 'ImmutabilityPolicyMode', text], ['IncrementalCopy', 'IncrementalCopy', truth], ['IsSealed', 'Sealed', truth], ['LastAccessedOn', 'LastAccessTime', time],
  ['LeaseDuration', 'LeaseDuration', text], ['LeaseState', 'LeaseState', text], ['LeaseStatus', 'LeaseStatus', text], ['LegalHold', 'LegalHold', truth], ['RehydratePriority', 'RehydratePriority', text],
  ['RemainingRetentionDays', 'RemainingRetentionDays', number], ['ServerEncrypted', 'ServerEncrypted', truth], ['TagCount', 'TagCount', number],
];

export const blobName = (xml: string): string => fieldOf(xml, 'Name') ?? '';

export function blobItemJson(xml: string): string {
  const [inside = ''] = elementsOf(xml, 'Properties');
  // what is said outside of the properties, where names are the same
  const outside = xml.replace(/<(Properties|Metadata|OrMetadata|Tags)>[\s\S]*?<\/\1>/g, '');
  const value = (from: string, name: string, read: Reader) => {
    const found = fieldOf(from, name);
    return found === undefined || found === '' ? null : read(found);
  };
  return goStringify({
    Deleted: value(outside, 'Deleted', truth),
    Name: blobName(outside),
    Properties: Object.fromEntries(properties.map(([name, element, read]) => [name, value(inside, element, read)])),
    Snapshot: value(outside, 'Snapshot', text),
    BlobTags: null,
    HasVersionsOnly: value(outside, 'HasVersionsOnly', truth),
    IsCurrentVersion: value(outside, 'IsCurrentVersion', truth),
    Metadata: dictionary(xml, 'Metadata'),
    OrMetadata: dictionary(xml, 'OrMetadata'),
    VersionID: value(outside, 'VersionId', text),
  });
}

function dictionary(xml: string, name: string): Record<string, string> | null {
  const [inside] = elementsOf(xml, name);
  const entries = Array.from((inside ?? '').matchAll(/<([\w.-]+)>([\s\S]*?)<\/\1>/g), ([, key, value]): [string, string] => [key as string, unescapeXml(value as string)]);
  return entries.length === 0 ? null : Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
