// An object of Google Cloud Storage, as the client for Go prints its attributes.
import { fromBase64 } from '../../core/base64.ts';
import type { StoredObject } from './storage-api.ts';

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => Number(value ?? 0);
const time = (value: unknown): string => (typeof value === 'string' ? value.replace(/(\.\d*?)0*Z$/, (_, fraction: string) => `${fraction === '.' ? '' : fraction}Z`) : '0001-01-01T00:00:00Z');
/** Four bytes in base64, the highest first. */
const crc = (value: unknown): number => (typeof value === 'string' ? fromBase64(value).reduce((sum, byte) => sum * 256 + byte, 0) : 0);

function rules(acl: unknown): unknown {
  if (!Array.isArray(acl) || acl.length === 0) return null;
  return acl.map(({ entity, entityId, role, domain, email, projectTeam }) => ({
    Entity: text(entity), EntityID: text(entityId), Role: text(role), Domain: text(domain), Email: text(email),
    ProjectTeam: projectTeam ? { ProjectNumber: text(projectTeam.projectNumber), Team: text(projectTeam.team) } : null,
  }));
}

/** `prefix`: what stands for all objects that begin so, where the list was cut at a delimiter. */
export function objectAttributes(object: StoredObject, prefix = ''): Record<string, unknown> {
  const { retention, owner, customerEncryption } = object as { retention?: { mode?: string; retainUntilTime?: string }; owner?: { entity?: string }; customerEncryption?: { keySha256?: string } };
  return {
    Bucket: text(object.bucket), Name: text(object.name), ContentType: text(object.contentType), ContentLanguage: text(object.contentLanguage), CacheControl: text(object.cacheControl),
    EventBasedHold: object.eventBasedHold === true, TemporaryHold: object.temporaryHold === true, RetentionExpirationTime: time(object.retentionExpirationTime), ACL: rules(object.acl), PredefinedACL: '', Owner: text(owner?.entity),
    Size: number(object.size), ContentEncoding: text(object.contentEncoding), ContentDisposition: text(object.contentDisposition), MD5: object.md5Hash ?? null, CRC32C: crc(object.crc32c), MediaLink: text(object.mediaLink),
    Metadata: object.metadata ?? null, Generation: number(object.generation), Metageneration: number(object.metageneration), StorageClass: text(object.storageClass), Created: time(object.timeCreated), Finalized: time(object.timeFinalized),
    Deleted: time(object.timeDeleted), Updated: time(object.updated), CustomerKeySHA256: text(customerEncryption?.keySha256), KMSKeyName: text(object.kmsKeyName), Prefix: prefix, Etag: text(object.etag), CustomTime: time(object.customTime),
    ComponentCount: number(object.componentCount), Retention: retention ? { Mode: text(retention.mode), RetainUntil: time(retention.retainUntilTime) } : null, SoftDeleteTime: time(object.softDeleteTime), HardDeleteTime: time(object.hardDeleteTime),
  };
}
