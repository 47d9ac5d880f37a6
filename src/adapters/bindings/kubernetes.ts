// bindings.kubernetes: the Event objects of a Kubernetes namespace, told to the app as they come, change and go.
import { defineBinding, type EventHandler } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { goStringify, utf8 } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { connectKubernetes } from '../kubernetes/client.ts';
import { type KubernetesObject, runInformer } from '../kubernetes/informer.ts';
import { createOpenReaders } from '../open-readers.ts';

export default defineBinding({
  type: 'bindings.kubernetes',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING'],
  summary: 'Tells the app of the Event objects in a Kubernetes namespace.',
  metadata: schema(
    {
      namespace: field.text().default('').describe('Namespace whose events are read. Required'),
      kubeconfigPath: field.text().default('').describe('Kubeconfig to use outside of a pod; default: KUBECONFIG of the environment, then ~/.kube/config'),
      resyncPeriod: field.duration().default(10_000).describe('How often every event that is known is told again, as an update; 0: never'),
    },
    { resyncPeriodInSec: 'resyncPeriod' },
  ),
  open: async ({ namespace, kubeconfigPath, resyncPeriod }, { host, log }) => {
    if (namespace === '') throw new Error('failed to parse metadata: namespace is missing in metadata');
    const client = await connectKubernetes(host, kubeconfigPath).catch((error) => {
      throw new Error(`failed to initialize Kubernetes client: ${textOf(error)}`, { cause: error });
    });
    const readers = createOpenReaders();
    return {
      read: async (handler: EventHandler) => {
        const stop = new AbortController();
        // The app's answer changes nothing: an event is told once.
        const tell = async (event: string, oldVal: string, newVal: string) => void (await handler({ data: utf8(`{"event":"${event}","oldVal":${oldVal},"newVal":${newVal}}`), metadata: {} }, background).catch(() => undefined));
        const changes = {
          add: (now: KubernetesObject) => tell('add', eventJson({}), eventJson(now)),
          update: (before: KubernetesObject, now: KubernetesObject) => tell('update', eventJson(before), eventJson(now)),
          remove: (before: KubernetesObject) => tell('delete', eventJson(before), eventJson({})),
        };
        const running = runInformer({ client, path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`, changes, resyncMs: resyncPeriod, log, signal: stop.signal });
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

/** An Event as Go prints its struct: its fields in order, those without a value where Go has no way to leave them out. Source: k8s.io/api core/v1. */
function eventJson({ metadata, ...rest }: KubernetesObject): string {
  const kept = ['reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'type', 'eventTime', 'series', 'action', 'related', 'reportingComponent', 'reportingInstance'];
  const always: Record<string, unknown> = { source: {}, firstTimestamp: null, lastTimestamp: null, eventTime: null, reportingComponent: '', reportingInstance: '' };
  const event: Record<string, unknown> = { metadata: { ...metadata, creationTimestamp: (metadata as { creationTimestamp?: string } | undefined)?.creationTimestamp ?? null }, involvedObject: rest.involvedObject ?? {} };
  for (const name of kept) {
    const value = rest[name] ?? always[name];
    if (value !== undefined) event[name] = value;
  }
  return goStringify(event);
}
