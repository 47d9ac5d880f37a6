// What bindings.aws.s3 answers, in the JSON that daprd makes of the structures of the AWS SDK for Go.
import type { ListObjectsOutput, _Object as S3Object } from '@aws-sdk/client-s3';
import { goStringify } from '../../core/go-json.ts';

export interface BulkResult {
  key: string;
  data?: string;
  location?: string;
  error?: string;
}

/** Empty fields are left out, except the key. */
export const bulkJson = (results: readonly BulkResult[]): string => goStringify(results.map(({ key, data, location, error }) => ({ key, ...(data ? { data } : {}), ...(location ? { location } : {}), ...(error ? { error } : {}) })));

export const createJson = (location: string, versionID: string | undefined, presignURL: string): string => goStringify({ location, versionID: versionID ?? null, ...(presignURL === '' ? {} : { presignURL }) });

/** Go's field names and order; what the service left out is null. */
export function listJson(list: ListObjectsOutput): string {
  return goStringify({
    CommonPrefixes: list.CommonPrefixes?.map(({ Prefix = null }) => ({ Prefix })) ?? null,
    Contents: list.Contents?.map(objectOf) ?? null,
    Delimiter: list.Delimiter ?? null,
    EncodingType: list.EncodingType ?? '',
    IsTruncated: list.IsTruncated ?? null,
    Marker: list.Marker ?? null,
    MaxKeys: list.MaxKeys ?? null,
    Name: list.Name ?? null,
    NextMarker: list.NextMarker ?? null,
    Prefix: list.Prefix ?? null,
    RequestCharged: list.RequestCharged ?? '',
    ResultMetadata: {},
  });
}

function objectOf(object: S3Object) {
  const { RestoreStatus: restored } = object;
  return {
    ChecksumAlgorithm: object.ChecksumAlgorithm ?? null,
    ChecksumType: object.ChecksumType ?? '',
    ETag: object.ETag ?? null,
    Key: object.Key ?? null,
    LastModified: timeOf(object.LastModified),
    Owner: object.Owner === undefined ? null : { DisplayName: object.Owner.DisplayName ?? null, ID: object.Owner.ID ?? null },
    RestoreStatus: restored === undefined ? null : { IsRestoreInProgress: restored.IsRestoreInProgress ?? null, RestoreExpiryDate: timeOf(restored.RestoreExpiryDate) },
    Size: object.Size ?? null,
    StorageClass: object.StorageClass ?? '',
  };
}
/** RFC 3339 without zeros at the end of the fraction. */
const timeOf = (time: Date | undefined): string | null => time?.toISOString().replace(/\.?0*Z$/, 'Z') ?? null;

/** Where an object is, as far as its names tell: the service says so only for uploads in parts. */
export function locationOf(key: string, { bucket, endpoint, forcePathStyle }: { bucket: string; endpoint: string; forcePathStyle: boolean }): string {
  if (endpoint !== '') return `${endpoint.replace(/\/+$/, '')}/${bucket}/${key}`;
  return forcePathStyle ? `https://s3.amazonaws.com/${bucket}/${key}` : `https://${bucket}.s3.amazonaws.com/${key}`;
}

/** `a=1, b=2` as the service wants it: `a=1&b=2`. */
export function taggingOf(tags: string): string {
  return tags
    .split(',')
    .map((entry) => {
      const at = entry.indexOf('=');
      const [name, value] = [entry.slice(0, at).trim(), entry.slice(at + 1).trim()];
      if (at < 0 || name === '' || value === '') throw new Error(`invalid tag format: '${entry}' (expected key=value)`);
      return `${name}=${value}`;
    })
    .join('&');
}
