// Calls to other apps, each attempt counted: over the leg between sidecars, and to outside addresses.
import type { HttpResponse } from '../../core/host.ts';
import { type InvocationMeter, now } from '../../core/meter.ts';
import type { Endpoints } from './endpoints.ts';
import type { RemoteLeg } from './remote-leg.ts';

export const measuredLeg = (leg: RemoteLeg, meter: InvocationMeter): RemoteLeg => ({
  ...leg,
  call: (address, request, context) => counted(request.calleeId, meter, () => leg.call(address, request, context)),
});

export const measuredEndpoints = (endpoints: Endpoints, meter: InvocationMeter): Endpoints => ({
  ...endpoints,
  call: (name, request, context) => counted(name, meter, () => endpoints.call(name, request, context)),
  callUrl: (url, request, context) => counted(url, meter, () => endpoints.callUrl(url, request, context)),
});

async function counted(appId: string, meter: InvocationMeter, send: () => Promise<HttpResponse>): Promise<HttpResponse> {
  const startedAt = now();
  meter.sent(appId);
  const response = await send();
  meter.answered(appId, response.status, startedAt);
  return response;
}
