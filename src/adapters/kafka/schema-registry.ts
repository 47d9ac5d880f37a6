// Messages in Avro: a zero byte, the number of their schema in a schema registry, the value (components-contrib/common/component/kafka/kafka.go; the registry's answers: riferrei/srclient).
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { HttpFailure, type HttpPort, type HttpResponse } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { readAvro, writeAvro } from './avro-binary.ts';
import { formatAvroJson, parseAvroJson } from './avro-json.ts';
import { parseAvroSchema } from './avro-schema.ts';
import type { AvroType } from './avro-value.ts';
import { isAvro, isTombstone } from './record.ts';

export interface RegistrySettings {
  url: string;
  user: string;
  password: string;
  /** Schemas are remembered: by number for good, the latest of a subject for `latestMs`. */
  caching: boolean;
  latestMs: number;
  /** The app's JSON is Avro's own, with the name of its type around each value of a union. */
  avroJson: boolean;
}
/** Both reject with AdapterError: `unavailable` where the registry did not give the schema, `invalid` where the value does not fit it. */
export interface AvroMessages {
  /** JSON as a message of the topic, by the latest schema of the subject `<topic>-value`. */
  encode(topic: string, json: Uint8Array): Promise<Uint8Array>;
  /** The JSON of a message. */
  decode(message: Uint8Array): Promise<Uint8Array>;
}

const noRegistry = () => new AdapterError('invalid', 'schema registry details not set');

/** The value of a record: what is published, as the metadata of its request want it. A tombstone has no schema. */
export function valueToSend(avro: AvroMessages | undefined, topic: string, data: Uint8Array, metadata: Readonly<Record<string, string>>): Uint8Array | Promise<Uint8Array> {
  if (isTombstone(data) || !isAvro(metadata)) return data;
  if (avro === undefined) throw noRegistry();
  return avro.encode(topic, data);
}
/** How a subscription with such metadata reads messages; undefined: as they are. */
export function decoderFor(avro: AvroMessages | undefined, metadata: Readonly<Record<string, string>>): AvroMessages['decode'] | undefined {
  if (!isAvro(metadata)) return undefined;
  if (avro === undefined) throw noRegistry();
  return avro.decode;
}

interface Schema {
  id: number;
  type: AvroType;
}
const timeoutMs = 5000;
/** The registry is not asked again sooner while it does not answer and an older schema does. */
const patienceMs = 30_000;
const headLength = 5;

export function createAvroMessages(settings: RegistrySettings, http: HttpPort, log: Logger): AvroMessages {
  const byId = new Map<number, Promise<Schema>>();
  const latest = new Map<string, { schema: Promise<Schema>; until: number }>();
  const get = async (path: string): Promise<{ id?: number; schema?: string }> => {
    let shown = `${settings.url}${path}`;
    let response: HttpResponse;
    let text: string;
    try {
      const { origin, pathname, search, username, password } = new URL(shown);
      shown = origin + pathname + search; // without the password
      const headers = ['Content-Type', 'application/vnd.schemaregistry.v1+json'];
      // As in daprd, a user without a password is none; those in the address come second.
      const login = settings.user !== '' && settings.password !== '' ? `${settings.user}:${settings.password}` : username === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      if (login !== undefined) headers.push('Authorization', `Basic ${btoa(Array.from(utf8(login), (byte) => String.fromCharCode(byte)).join(''))}`);
      response = await http.send({ method: 'GET', origin, path: pathname + search, headers, followRedirects: true, signal: AbortSignal.timeout(timeoutMs) });
      text = textOfBytes((await readBody(response.body)).bytes);
    } catch (error) {
      const timedOut = error instanceof HttpFailure && error.kind === 'aborted';
      throw new AdapterError('unavailable', `Get ${JSON.stringify(shown)}: ${timedOut ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : textOf(error)}`, error);
    }
    const json = jsonOf(text);
    if (response.status < 200 || response.status > 299) throw new AdapterError('unavailable', json === undefined ? `the schema registry answered ${response.status}` : text);
    if (json === undefined) throw new AdapterError('unavailable', `the schema registry answered with something else than a schema: ${text.slice(0, 200)}`);
    return json;
  };
  const schemaOf = ({ id, schema }: { id?: number; schema?: string }): Schema => {
    try {
      return { id: id ?? 0, type: parseAvroSchema(schema ?? '') };
    } catch (error) {
      throw new AdapterError('invalid', textOf(error), error);
    }
  };
  const schemaById = (id: number): Promise<Schema> => {
    const known = byId.get(id);
    if (known !== undefined) return known;
    const asked = get(`/schemas/ids/${id}`).then(({ schema }) => schemaOf({ id, ...(schema === undefined ? {} : { schema }) }));
    if (settings.caching) {
      byId.set(id, asked);
      asked.catch(() => byId.delete(id));
    }
    return asked;
  };
  const latestOf = (subject: string): Promise<Schema> => {
    const known = latest.get(subject);
    if (known !== undefined && Date.now() < known.until) return known.schema;
    const asked = get(`/subjects/${encodeURIComponent(subject)}/versions/latest`).then(schemaOf);
    if (!settings.caching) return asked;
    const schema = known === undefined ? asked : asked.catch((error) => {
      log.warn(`kafka: the latest schema of ${subject} could not be renewed, the one before is used: ${textOf(error)}`);
      latest.set(subject, { schema, until: Date.now() + Math.min(patienceMs, settings.latestMs) });
      return known.schema;
    });
    latest.set(subject, { schema, until: Date.now() + settings.latestMs });
    schema.catch(() => latest.delete(subject));
    return schema;
  };
  const fitting = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new AdapterError('invalid', textOf(error), error);
    }
  };
  return {
    encode: async (topic, json) => {
      const { id, type } = await latestOf(`${topic}-value`);
      const value = fitting(() => writeAvro(type, parseAvroJson(type, json, !settings.avroJson)));
      const message = new Uint8Array(headLength + value.length);
      new DataView(message.buffer).setUint32(1, id);
      message.set(value, headLength);
      return message;
    },
    decode: async (message) => {
      if (message.length < headLength) throw new AdapterError('invalid', 'value is too short');
      const { type } = await schemaById(new DataView(message.buffer, message.byteOffset).getUint32(1));
      return fitting(() => utf8(formatAvroJson(type, readAvro(type, message.subarray(headLength)), !settings.avroJson)));
    },
  };
}

function jsonOf(text: string): { id?: number; schema?: string } | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}
