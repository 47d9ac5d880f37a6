// Addresses and certificates of MQTT brokers as Dapr's metadata has them (components-contrib/pubsub/mqtt3/mqtt.go, pubsub/tls.go).
import { MetadataError } from '../../core/metadata.ts';

export interface MqttTls {
  ca?: string;
  cert?: string;
  key?: string;
}
export interface MqttAddress {
  /** As the client library wants it, without a user. */
  url: string;
  username: string;
  password: string;
}

const protocols: Record<string, string> = { mqtt: 'mqtt', tcp: 'mqtt', mqtts: 'mqtts', ssl: 'mqtts', tls: 'mqtts', tcps: 'mqtts', ws: 'ws', wss: 'wss' };

/** `tcp://user:password@host:1883`; ports default to 1883 and 8883. Throws an Error with what is wrong. */
export function parseAddress(text: string): MqttAddress {
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/]*)@)?([^/?#@]+)([^#]*)/i.exec(text);
  const protocol = protocols[(parts?.[1] ?? '').toLowerCase()];
  if (parts === null || protocol === undefined) throw new Error(`the url is not that of an MQTT broker, such as tcp://localhost:1883: its scheme must be one of ${Object.keys(protocols).join(', ')}`);
  const [, , user = '', host, path = ''] = parts;
  const colon = user.indexOf(':');
  const [username, password] = colon < 0 ? [user, ''] : [user.slice(0, colon), user.slice(colon + 1)];
  return { url: `${protocol}://${host}${protocol.startsWith('ws') ? path : ''}`, username: decodeURIComponent(username), password: decodeURIComponent(password) };
}

const pem = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s:,-]+-----END \1-----/;

/** The three PEM texts. `words` are what the component calls each where it is none; client certificate and key count only together. */
export function tlsOf(fields: { caCert: string; clientCert: string; clientKey: string }, words: { caCert: string; clientCert: string; clientKey: string }): MqttTls {
  for (const name of ['caCert', 'clientCert', 'clientKey'] as const) if (fields[name] !== '' && !pem.test(fields[name])) throw new MetadataError(words[name]);
  const { caCert, clientCert, clientKey } = fields;
  return { ...(caCert ? { ca: caCert } : {}), ...(clientCert && clientKey ? { cert: clientCert, key: clientKey } : {}) };
}
