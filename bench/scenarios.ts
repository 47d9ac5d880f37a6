// The scenarios: which requests go where, for each sidecar and for the bare programs beside it.
import type { Job } from './load/generator.ts';
import { appId, type Bare, type Process, publishedMessages, type Store, type Subject } from './subjects.ts';

/** One row of a scenario's table. `bare`: the program that others are held against. */
export type Contender = { name: string; role: 'direct' | 'bare' | 'plain' | 'subject'; process: Process; load: Pick<Job, 'requests' | 'publish' | 'entries'> };
export type ScenarioPlan = { name: string; title: string; contenders: Contender[] };

const value = JSON.stringify('x'.repeat(1000));
const keys = Array.from({ length: 64 }, (_, i) => `key-${i}`);

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
const post = (path: string, body: string) => `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const saves = (store: string) => ({ requests: keys.map((key) => post(`/v1.0/state/${store}`, `[{"key":"${key}","value":${value}}]`)) });
const reads = (store: string) => ({ requests: keys.map((key) => get(`/v1.0/state/${store}/${key}`)) });
/** As large as what is published and delivered. */
const messages = { requests: [post('/deliver', JSON.stringify({ seq: 1_000_000_000, text: 'x'.repeat(1000) }))] };
const call = (path: string) => ({ requests: [get(path)] });

export function plan(bare: Bare, host: string, subjects: Subject[], stores: Store[]): ScenarioPlan[] {
  const rows = (part: 'state' | 'invoke' | 'invokeTwo' | 'deliver', load: Contender['load']): Contender[] =>
    subjects.flatMap((subject) => (subject[part] ? [{ name: subject.name, role: subject.isPlain ? 'plain' : 'subject', process: subject[part], load } as const] : []));
  const direct: Contender = { name: 'the app itself', role: 'direct', process: bare.app, load: call('/x') };
  const hono = (load: Contender['load']): Contender => ({ name: `bare Hono (${host})`, role: 'bare', process: bare.hono, load });
  return [
    // saving comes first: it leaves the values that are read
    ...stores.flatMap((store) => [
      { name: `set-${store}`, title: `state save, ${store}, 1 KB`, contenders: [hono(saves(store)), ...rows('state', saves(store))] },
      { name: `get-${store}`, title: `state get, ${store}, 1 KB`, contenders: [hono(reads(store)), ...rows('state', reads(store))] },
    ]),
    {
      name: 'deliver',
      title: 'publish → delivered to the app, in-memory, 1 KB (in bulk: 100 in a request, 100 in a delivery; figures count messages)',
      contenders: [
        { name: `a bare app (${host})`, role: 'direct', process: bare.subscriber, load: messages },
        { name: `bare relay (${host})`, role: 'bare', process: bare.deliveryRelay, load: { publish: '/deliver' } },
        ...rows('deliver', publishedMessages.single),
        ...rows('deliver', publishedMessages.parallel).map((row) => ({ ...row, name: `${row.name} in parallel` })),
        ...rows('deliver', publishedMessages.bulk).map((row) => ({ ...row, name: `${row.name} in bulk` })),
      ],
    },
    {
      name: 'invoke-one',
      title: 'invoke through one sidecar, 1 KB answer',
      contenders: [direct, { name: `bare relay (${host})`, role: 'bare', process: bare.relay, load: call('/x') }, ...rows('invoke', call(`/v1.0/invoke/${appId}/method/x`))],
    },
    {
      name: 'invoke-two',
      title: 'invoke through two sidecars, 1 KB answer',
      contenders: [direct, { name: `two bare relays (${host})`, role: 'bare', process: bare.twoRelays, load: call('/x') }, ...rows('invokeTwo', call(`/v1.0/invoke/${appId}/method/x`))],
    },
  ];
}
