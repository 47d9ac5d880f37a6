// Routes of building blocks that Outrigger does not have yet: each answers what Dapr does without the service behind it.
import { fail, infoDetail, rows, type ErrorName } from '../../core/errors.ts';
import { any, GoJsonError, list, type Reader, string, struct } from '../../core/go-json.ts';
import { BodyBroken, BodyTooLarge } from '../../core/host.ts';
import { type ProtoField, protoMessage, protoString } from '../../core/proto-json.ts';
import { firstJson, type Handler, type HttpCall, type Route, segment, universalBody } from './call.ts';
import { checkBody, protoBody } from './proto-body.ts';

/** What is wrong with the body, if it is looked at, comes first. */
const refuse = (is: ErrorName, check?: (call: HttpCall) => Promise<unknown>): Handler => async (call) => {
  await check?.(call);
  throw fail(is, { name: segment(call, 2) });
};
/** The first JSON value of the body must be one of these. */
const jsonBody = (reader: Reader<unknown>) => async (call: HttpCall): Promise<void> => {
  try {
    reader.read(await firstJson(call), '');
  } catch (error) {
    if (error instanceof GoJsonError || error instanceof BodyTooLarge || error instanceof BodyBroken) throw fail('malformedBody', { error: error.message });
    throw error;
  }
};
const actorOperations = jsonBody(list(struct('api.TransactionalOperation', { operation: string, request: any })));
const reminder = jsonBody(struct('api.CreateReminderRequest', {}));
const timer = jsonBody(struct('api.CreateTimerRequest', {}));

const workflowRequest = protoMessage({ instanceId: protoString, workflowComponent: protoString });
/** The input of start and raiseEvent may be anything, that of the other workflow calls is a message. */
const refuseWorkflow = refuse('actorNoPlacement', async (call) => { if (call.incoming.hasBody) await protoBody(call, workflowRequest); });
const refuseInput = refuse('actorNoPlacement', universalBody);

const optionalText: ProtoField<string | undefined> = { ...protoString, zero: undefined };
const jobRequest = protoMessage({ name: protoString, schedule: optionalText, dueTime: optionalText });
type JobError = 'jobSchedule' | 'jobGet' | 'jobDelete' | 'jobNameInBody' | 'jobNameEmpty' | 'jobScheduleEmpty';

/** Jobs without a scheduler service: what is wrong with the request, else that there is none. */
function jobRoutes(appId: string, namespace: string): Route[] {
  const identity = { appID: appId, namespace: namespace || 'default' };
  const jobError = (is: JobError, about: Record<string, string> = identity) => fail(is, { error: 'scheduler clients are disabled' }, { details: [infoDetail(rows[is].reason ?? '', about)] });
  const schedule: Handler = async (call) => {
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
  const row = (methods: readonly string[], path: string, name: string, group: string, is: ErrorName, check?: (call: HttpCall) => Promise<unknown>): Route => ({ methods, path, name, group, handler: refuse(is, check) });
  const actor = 'v1.0/actors/:actorType/:actorId';
  return [
    row(write, `${actor}/state`, 'ExecuteActorStateTransaction', 'actors/v1', 'actorNoPlacement', actorOperations),
    row(['GET'], `${actor}/state/:key`, 'GetActorState', 'actors/v1', 'actorNoPlacement'),
    row(['GET', 'POST', 'PUT', 'DELETE'], `${actor}/method/:method`, 'InvokeActor', 'actors/v1', 'actorNoPlacement'),
    row(write, `${actor}/reminders/:name`, 'RegisterActorReminder', 'actors/v1', 'actorNoPlacement', reminder),
    row(['GET'], `${actor}/reminders/:name`, 'GetActorReminder', 'actors/v1', 'actorNoPlacement'),
    row(['DELETE'], `${actor}/reminders/:name`, 'UnregisterActorReminder', 'actors/v1', 'actorNoPlacement', checkBody),
    row(write, `${actor}/timers/:name`, 'RegisterActorTimer', 'actors/v1', 'actorNoPlacement', timer),
    row(['DELETE'], `${actor}/timers/:name`, 'UnregisterActorTimer', 'actors/v1', 'actorNoPlacement', checkBody),
    ...['GetKey', 'Encrypt', 'Decrypt', 'WrapKey', 'UnwrapKey', 'Sign', 'Verify'].map((name) => row(['POST'], `v1.0-alpha1/subtlecrypto/:name/${name.toLowerCase()}`, `Subtle${name}`, 'subtlecrypto/v1alpha1', 'unimplemented', checkBody)),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/encrypt', 'Encrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['PUT'], 'v1.0-alpha1/crypto/:name/decrypt', 'Decrypt', 'crypto/v1alpha1', 'cryptoProvidersNotConfigured'),
    row(['POST'], 'v1.0-alpha1/conversation/:name/converse', 'Converse', 'conversation/v1alpha1', 'conversationNotFound', checkBody),
    row(['POST'], 'v1.0-alpha2/conversation/:name/converse', 'Converse', 'conversation/v1alpha2', 'conversationNotFound', checkBody),
    ...jobRoutes(appId, namespace),
    ...(['v1.0', 'v1.0-beta1', 'v1.0-alpha1'] as const).flatMap((v) => {
      const group = `workflows/${v.replace('1.0', '1').replace('-', '')}`;
      const workflow = (method: string, path: string, name: string, handler: Handler): Route => ({ methods: [method], path: `${v}/workflows/:workflowComponent${path}`, name, group, handler });
      return [
        workflow('GET', '/:instanceID', 'GetWorkflow', refuseWorkflow),
        workflow('POST', '/:workflowName/start', 'StartWorkflow', refuseInput),
        workflow('POST', '/:instanceID/raiseEvent/:eventName', 'RaiseEventWorkflow', refuseInput),
        ...['Pause', 'Resume', 'Terminate', 'Purge'].map((verb) => workflow('POST', `/:instanceID/${verb.toLowerCase()}`, `${verb}Workflow`, refuseWorkflow)),
      ];
    }),
  ];
}
