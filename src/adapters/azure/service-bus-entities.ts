// Queues, topics and subscriptions of Azure Service Bus, made where they are missing: its management API, Atom entries over HTTPS.
import { readBody } from '../../core/body.ts';
import { toBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { EntraCredential } from './entra-credential.ts';
import type { ServiceBusSettings } from './service-bus-settings.ts';

/** Value of the Authorization header for a call to that address. */
export type Authorize = (uri: string) => Promise<string>;
export interface ServiceBusEntities {
  /** Each looks first, and rejects in upstream's words. */
  queue(name: string): Promise<void>;
  topic(name: string): Promise<void>;
  subscription(name: string, topic: string, requiresSession: boolean): Promise<void>;
}

const apiVersion = '2021-05';
const tokenSeconds = 3600;

/** `namespace`: its host name. */
export function createServiceBusEntities(host: Host, namespace: string, authorize: Authorize, settings: ServiceBusSettings): ServiceBusEntities {
  const origin = `https://${namespace}`;
  const call = async (method: 'GET' | 'PUT', path: string, body?: string): Promise<{ status: number; text: string }> => {
    const headers = ['Authorization', await authorize(`${origin}/${path}`), ...(body === undefined ? [] : ['Content-Type', 'application/atom+xml'])];
    const answer = await host.http.send({ method, origin, path: `/${path}?api-version=${apiVersion}`, headers, body: body === undefined ? null : utf8(body), signal: AbortSignal.timeout(settings.timeoutInSec * 1000) });
    const text = textOfBytes((await readBody(answer.body)).bytes);
    const isFine = answer.status < 300 || (method === 'GET' && answer.status === 404) || (method === 'PUT' && answer.status === 409); // 409: somebody else made it meanwhile
    if (!isFine) throw new Error(`${answer.status}: ${/<Detail>([^<]*)<\/Detail>/.exec(text)?.[1] ?? text.slice(0, 200)}`);
    return { status: answer.status, text };
  };
  const failing = (what: string) => (error: unknown) => {
    throw new Error(`${what}: ${textOf(error)}`, { cause: error });
  };
  /** The description where it is there; a feed without entries says that it is not. */
  const look = async (kind: string, name: string, path: string, element: string): Promise<string | undefined> => {
    const { status, text } = await call('GET', path).catch(failing(`could not get ${kind} ${name}`));
    return status !== 404 && text.includes(`<${element}`) ? text : undefined;
  };
  const make = async (kind: string, name: string, path: string, element: string, properties: [string, string][]): Promise<void> => {
    const inner = properties.map(([property, value]) => `<${property}>${value}</${property}>`).join('');
    await call('PUT', path, `<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml"><${element} xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">${inner}</${element}></content></entry>`).catch(failing(`could not create ${kind} ${name}`));
  };
  const seconds = (name: string, value: number | undefined): [string, string][] => (value === undefined ? [] : [[name, `PT${value}S`]]);
  // In the order of the service's schema, which it insists on.
  const described = (requiresSession: boolean): [string, string][] => [
    ...seconds('LockDuration', settings.lockDurationInSec),
    ...(requiresSession ? [['RequiresSession', 'true'] as [string, string]] : []),
    ...seconds('DefaultMessageTimeToLive', settings.defaultMessageTimeToLiveInSec),
    ...(settings.maxDeliveryCount === undefined ? [] : [['MaxDeliveryCount', String(settings.maxDeliveryCount)] as [string, string]]),
    ...seconds('AutoDeleteOnIdle', settings.autoDeleteOnIdleInSec),
  ];
  const pathOf = (name: string) => name.split('/').map(encodeURIComponent).join('/');
  const topic = async (name: string) => {
    if ((await look('topic', name, pathOf(name), 'TopicDescription')) === undefined) await make('topic', name, pathOf(name), 'TopicDescription', []);
  };
  return {
    topic,
    queue: async (name) => {
      if ((await look('queue', name, pathOf(name), 'QueueDescription')) === undefined) await make('queue', name, pathOf(name), 'QueueDescription', described(false));
    },
    subscription: async (name, of, requiresSession) => {
      await topic(of);
      const path = `${pathOf(of)}/Subscriptions/${encodeURIComponent(name)}`;
      const found = await look('subscription', name, path, 'SubscriptionDescription');
      if (found === undefined) return make('subscription', name, path, 'SubscriptionDescription', described(requiresSession));
      const has = /<RequiresSession>([^<]*)</.exec(found)?.[1] === 'true';
      if (has !== requiresSession) throw new Error(`subscription ${name} already exists but session requirement doesn't match`);
    },
  };
}

/** Signs with a key of the namespace. */
export const sharedAccess = (keyName: string, key: string): Authorize => async (uri) => {
  const resource = encodeURIComponent(uri.toLowerCase());
  const until = Math.floor(Date.now() / 1000) + tokenSeconds;
  const secret = await crypto.subtle.importKey('raw', utf8(key) as Uint8Array<ArrayBuffer>, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', secret, utf8(`${resource}\n${until}`) as Uint8Array<ArrayBuffer>));
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(toBase64(signature))}&se=${until}&skn=${encodeURIComponent(keyName)}`;
};

/** Signs in with Microsoft Entra ID. */
export const entraAccess = (credential: EntraCredential): Authorize => async () => `Bearer ${(await credential.token('https://servicebus.azure.net/.default')).token}`;
