// Routes of building blocks that Outrigger does not have yet: each answers what Dapr does without the service behind it.
import { fail, infoDetail, rows, type ErrorName } from '../../core/errors.ts';
import { type ProtoField, protoMessage, protoString } from '../../core/proto-json.ts';
import { callOf, type Handler, type Route, segment } from './call.ts';
import { protoBody } from './proto-body.ts';

const refuse = (is: ErrorName): Handler => (c) => {
  throw fail(is, { name: segment(callOf(c), 2) });
};
const workflowRequest = protoMessage({ instanceId: protoString, workflowComponent: protoString });
/** A workflow call whose body is a message; those of start and raiseEvent may be anything. */
const refuseWorkflow: Handler = async (c) => {
  const call = callOf(c);
  if (call.incoming.hasBody) await protoBody(call, workflowRequest);
  throw fail('actorNoPlacement');
};

const optionalText: ProtoField<string | undefined> = { ...protoString, zero: undefined };
const jobRequest = protoMessage({ name: protoString, schedule: optionalText, dueTime: optionalText });
type JobError = 'jobSchedule' | 'jobGet' | 'jobDelete' | 'jobNameInBody' | 'jobNameEmpty' | 'jobScheduleEmpty';

/** Jobs without a scheduler service: what is wrong with the request, else that there is none. */
function jobRoutes(appId: string, namespace: string): Route[] {
  const identity = { appID: appId, namespace: namespace || 'default' };
  const jobError = (is: JobError, about: Record<string, string> = identity) => fail(is, { error: 'scheduler clients are disabled' }, { details: [infoDetail(rows[is].reason ?? '', about)] });
  const schedule: Handler = async (c) => {
    const call = callOf(c);
    const job = await protoBody(call, jobRequest);
    if (job.name !== '') throw jobError('jobNameInBody', { appID: appId });
    if (segment(call, 2).trim() === '') throw jobError('jobNameEmpty');
    if (job.schedule === undefined && job.dueTime === undefined) throw jobError('jobScheduleEmpty');
    throw jobError('jobSchedule');
  };
  return (['v1.0', 'v1.0-alpha1'] as const).flatMap((version) => {
    const route = (method: string, name: string, handler: Handler): Route => ({ methods: [method], path: `${version}/jobs/:name`, name, group: version === 'v1.0' ? 'jobs/v1' : 'jobs/v1alpha1', handler });
    return [
      route('POST', 'ScheduleJob', schedule),
      route('GET', 'GetJob', () => { throw jobError('jobGet'); }),
      route('DELETE', 'DeleteJob', () => { throw jobError('jobDelete'); }),
    ];
  });
}

/** `namespace`: '' = Dapr's `default`. */
export function unbuiltRoutes({ appId, namespace }: { appId: string; namespace: string }): Route[] {
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
    ...['GetKey', 'Encrypt', 'Decrypt', 'WrapKey', 'UnwrapKey', 'Sign', 'Verify'].map((name) => row(['POST'], `v1.0-alpha1/subtlecrypto/:name/${name.toLowerCase()}`, `Subtle${name}`, 'subtlecrypto/v1alpha1', 'unimplemented')),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/encrypt', 'Encrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/decrypt', 'Decrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['POST'], 'v1.0-alpha1/conversation/:name/converse', 'Converse', 'conversation/v1alpha1', 'conversationNotFound'),
    row(['POST'], 'v1.0-alpha2/conversation/:name/converse', 'Converse', 'conversation/v1alpha2', 'conversationNotFound'),
    ...jobRoutes(appId, namespace),
    ...(['v1.0', 'v1.0-beta1', 'v1.0-alpha1'] as const).flatMap((v) => {
      const group = `workflows/${v.replace('1.0', '1').replace('-', '')}`;
      const workflow = (method: string, path: string, name: string, handler: Handler): Route => ({ methods: [method], path: `${v}/workflows/:workflowComponent${path}`, name, group, handler });
      return [
        workflow('GET', '/:instanceID', 'GetWorkflow', refuseWorkflow),
        workflow('POST', '/:workflowName/start', 'StartWorkflow', refuse('actorNoPlacement')),
        workflow('POST', '/:instanceID/raiseEvent/:eventName', 'RaiseEventWorkflow', refuse('actorNoPlacement')),
        ...['Pause', 'Resume', 'Terminate', 'Purge'].map((verb) => workflow('POST', `/:instanceID/${verb.toLowerCase()}`, `${verb}Workflow`, refuseWorkflow)),
      ];
    }),
  ];
}
