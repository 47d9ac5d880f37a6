// HTTP routes of health and shutdown.
import { fail } from '../../core/errors.ts';
import type { Health } from '../../blocks/health/health.ts';
import { empty, header, type Route } from './call.ts';
import { queryValue } from './path.ts';

export function healthRoutes(health: Health, appId: string): Route[] {
  return [
    {
      methods: ['GET'], path: 'v1.0/healthz', name: 'Healthz', group: '',
      handler: (call) => {
        health.checkReady();
        const asked = queryValue(call.query, 'appid');
        if (asked !== undefined && asked !== appId) throw fail('healthAppIdNotMatch');
        return empty(call);
      },
    },
    {
      methods: ['GET'], path: 'v1.0/healthz/outbound', name: 'HealthzOutbound', group: '',
      handler: (call) => {
        health.checkOutbound();
        return empty(call);
      },
    },
  ];
}

/** `onShutdown(force)` is called after the answer is made; force means: exit code 1 after 100 ms, no drain. */
export function shutdownRoutes(onShutdown: (force: boolean) => void): Route[] {
  return [
    {
      methods: ['POST'], path: 'v1.0/shutdown', name: 'Shutdown', group: 'shutdown/v1',
      handler: (call) => {
        onShutdown(header(call, 'dapr-force-shutdown')?.toLowerCase() === 'true');
        return empty(call);
      },
    },
  ];
}
