// The service account of a pod as a way to the API server.
import { expect, test } from 'vitest';
import { utf8 } from '../../core/go-json.ts';
import type { Host, HttpRequest } from '../../core/host.ts';
import { connectKubernetes } from './client.ts';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';

test('in a pod: the service account decides, whatever kubeconfig there is', async () => {
  const seen: HttpRequest[] = [];
  const files: Record<string, string> = { [`${account}/token`]: 'pod\n', [`${account}/ca.crt`]: 'CA' };
  const host = {
    env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443', KUBECONFIG: '/none' },
    files: { resolve: (path: string) => path, read: async (path: string) => utf8(files[path] ?? '') },
    http: {
      send: async (request: HttpRequest) => {
        seen.push(request);
        return { status: 200, headers: [], body: utf8('{"a":1}') };
      },
    },
  } as unknown as Host;
  const client = await connectKubernetes(host, '/none/either');
  expect(await client.get('/api/v1/x', undefined)).toEqual({ a: 1 });
  expect(seen[0]).toMatchObject({ origin: 'https://[fd00::1]:443', path: '/api/v1/x', tls: { ca: 'CA' } });
  expect(seen[0]?.headers).toEqual(['Accept', 'application/json', 'Authorization', 'Bearer pod']);
});
