// What create-app puts around blocks and ports so that they are counted; without metrics everything stays what it is.
import type { BindingsBlock } from '../../../blocks/bindings/bindings.ts';
import { measuredBindings } from '../../../blocks/bindings/measured.ts';
import type { ConfigurationBlock } from '../../../blocks/configuration/configuration.ts';
import { measuredConfiguration } from '../../../blocks/configuration/measured.ts';
import type { Endpoints } from '../../../blocks/invoke/endpoints.ts';
import { measuredEndpoints, measuredLeg } from '../../../blocks/invoke/measured.ts';
import type { RemoteLeg } from '../../../blocks/invoke/remote-leg.ts';
import { measuredPubSub } from '../../../blocks/pubsub/measured.ts';
import type { PubSubBlock } from '../../../blocks/pubsub/pubsub.ts';
import { measuredSecrets } from '../../../blocks/secrets/measured.ts';
import type { SecretsBlock } from '../../../blocks/secrets/secrets.ts';
import { measuredState } from '../../../blocks/state/measured.ts';
import type { StateBlock } from '../../../blocks/state/state.ts';
import type { HttpPort } from '../../../core/host.ts';
import type { Meter } from '../../../core/meter.ts';
import type { ApiOptions } from '../../http/api.ts';
import type { HttpMeter } from './http.ts';
import { countCalls, countOutside, countProbes, countRequests } from './measured-http.ts';

export interface Counted {
  state(block: StateBlock): StateBlock;
  secrets(block: SecretsBlock): SecretsBlock;
  configuration(block: ConfigurationBlock): ConfigurationBlock;
  bindings(block: BindingsBlock): BindingsBlock;
  pubsub(block: PubSubBlock): PubSubBlock;
  leg(leg: RemoteLeg): RemoteLeg;
  endpoints(endpoints: Endpoints): Endpoints;
  /** HTTP to the app. */
  requests(http: HttpPort): HttpPort;
  /** HTTP of the app's health probes. */
  probes(http: HttpPort): HttpPort;
  readonly api: Pick<ApiOptions, 'counter' | 'onError'>;
}

const same = <T>(what: T): T => what;

export function counted(meter: Meter | undefined, http: HttpMeter | undefined): Counted {
  if (meter === undefined || http === undefined) return { state: same, secrets: same, configuration: same, bindings: same, pubsub: same, leg: same, endpoints: same, requests: same, probes: same, api: {} };
  return {
    state: (block) => measuredState(block, meter),
    secrets: (block) => measuredSecrets(block, meter),
    configuration: (block) => measuredConfiguration(block, meter),
    bindings: (block) => measuredBindings(block, meter),
    pubsub: (block) => measuredPubSub(block, meter),
    leg: (leg) => measuredLeg(leg, meter.invocation),
    endpoints: (endpoints) => measuredEndpoints(countOutside(endpoints, http), meter.invocation),
    requests: (port) => countRequests(port, http),
    probes: (port) => countProbes(port, http),
    api: { counter: countCalls(http), onError: meter.failed },
  };
}
