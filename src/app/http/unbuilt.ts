// Routes of building blocks that Outrigger does not have yet: each answers Dapr's own "not configured" error.
import { fail, type ErrorName } from '../../core/errors.ts';
import { callOf, type Route, segment } from './call.ts';

const refuse = (is: ErrorName): Route['handler'] => (c) => {
  throw fail(is, { name: segment(callOf(c), 2) });
};

export function unbuiltRoutes(): Route[] {
  const write = ['POST', 'PUT'];
  const row = (methods: readonly string[], path: string, name: string, group: string, is: ErrorName): Route => ({ methods, path, name, group, handler: refuse(is) });
  const actor = 'v1.0/actors/:actorType/:actorId';
  return [
    row(write, `${actor}/state`, 'ExecuteActorStateTransaction', 'actors/v1', 'actorNoPlacement'),
    row(['GET'], `${actor}/state/:key`, 'GetActorState', 'actors/v1', 'actorNoPlacement'),
    row(['GET', 'POST', 'PUT', 'DELETE'], `${actor}/method/:method`, 'InvokeActor', 'actors/v1', 'actorNoPlacement'),
    row(write, `${actor}/reminders/:name`, 'RegisterActorReminder', 'actors/v1', 'actorNoPlacement'),
    row(['GET'], `${actor}/reminders/:name`, 'GetActorReminder', 'actors/v1', 'actorNoPlacement'),
    row(['DELETE'], `${actor}/reminders/:name`, 'UnregisterActorReminder', 'actors/v1', 'actorNoPlacement'),
    row(write, `${actor}/timers/:name`, 'RegisterActorTimer', 'actors/v1', 'actorNoPlacement'),
    row(['DELETE'], `${actor}/timers/:name`, 'UnregisterActorTimer', 'actors/v1', 'actorNoPlacement'),
    ...['getkey', 'encrypt', 'decrypt', 'wrapkey', 'unwrapkey', 'sign', 'verify'].map((op) => row(['POST'], `v1.0-alpha1/subtlecrypto/:name/${op}`, `Subtle${op}`, 'subtlecrypto/v1alpha1', 'unimplemented')),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/encrypt', 'Encrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/decrypt', 'Decrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['POST'], 'v1.0-alpha1/conversation/:name/converse', 'Converse', 'conversation/v1alpha1', 'conversationNotFound'),
    row(['POST'], 'v1.0-alpha2/conversation/:name/converse', 'Converse', 'conversation/v1alpha2', 'conversationNotFound'),
    ...(['v1.0', 'v1.0-alpha1'] as const).flatMap((v) => ['POST', 'GET', 'DELETE'].map((method) => row([method], `${v}/jobs/:name`, 'Job', v === 'v1.0' ? 'jobs/v1' : 'jobs/v1alpha1', 'unimplemented'))),
    ...(['v1.0', 'v1.0-beta1', 'v1.0-alpha1'] as const).flatMap((v) => {
      const group = `workflows/${v.replace('1.0', '1').replace('-', '')}`;
      const base = `${v}/workflows/:workflowComponent`;
      return [
        row(['GET'], `${base}/:instanceID`, 'GetWorkflow', group, 'unimplemented'),
        row(['POST'], `${base}/:workflowName/start`, 'StartWorkflow', group, 'unimplemented'),
        row(['POST'], `${base}/:instanceID/raiseEvent/:eventName`, 'RaiseEventWorkflow', group, 'unimplemented'),
        ...['pause', 'resume', 'terminate', 'purge'].map((verb) => row(['POST'], `${base}/:instanceID/${verb}`, `${verb[0]!.toUpperCase()}${verb.slice(1)}Workflow`, group, 'unimplemented')),
      ];
    }),
  ];
}
