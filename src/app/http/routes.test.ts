// The routes under the names Dapr gives them in obfuscated logs, and the groups that API rules know.
import { expect, test } from 'vitest';
import type { BindingsBlock } from '../../blocks/bindings/bindings.ts';
import type { ConfigurationBlock } from '../../blocks/configuration/configuration.ts';
import type { Health } from '../../blocks/health/health.ts';
import type { LockBlock } from '../../blocks/lock/lock.ts';
import type { MetadataBlock } from '../../blocks/metadata/metadata.ts';
import type { PubSubBlock } from '../../blocks/pubsub/pubsub.ts';
import type { SecretsBlock } from '../../blocks/secrets/secrets.ts';
import type { StateBlock } from '../../blocks/state/state.ts';
import { bindingsRoutes } from './bindings.ts';
import { configurationRoutes } from './configuration.ts';
import { healthRoutes, shutdownRoutes } from './health.ts';
import { lockRoutes } from './lock.ts';
import { metadataRoutes } from './metadata.ts';
import { publishRoutes } from './publish.ts';
import { secretsRoutes } from './secrets.ts';
import { stateRoutes } from './state.ts';
import { unbuiltRoutes } from './unbuilt.ts';

const tracing = { tracing: 'off', samplingRate: 0, recorder: undefined } as const;
const all = [
  ...stateRoutes({} as StateBlock, tracing),
  ...secretsRoutes({} as SecretsBlock),
  ...publishRoutes({} as PubSubBlock, { ...tracing, appId: 'test' }),
  ...bindingsRoutes({} as BindingsBlock, tracing),
  ...configurationRoutes({} as ConfigurationBlock, undefined),
  ...lockRoutes({} as LockBlock),
  ...metadataRoutes({} as MetadataBlock),
  ...healthRoutes({} as Health, 'test'),
  ...shutdownRoutes(() => {}),
  ...unbuiltRoutes({ appId: 'test', namespace: '' }),
];

/** Verbs, path, name, group. Source: the endpoints registered in dapr/pkg/api/http. */
const dapr = `
GET v1.0/state/:storeName/:key GetState state/v1
POST,PUT v1.0/state/:storeName SaveState state/v1
DELETE v1.0/state/:storeName/:key DeleteState state/v1
POST,PUT v1.0/state/:storeName/bulk GetBulkState state/v1
POST,PUT v1.0/state/:storeName/transaction ExecuteStateTransaction state/v1
POST,PUT v1.0-alpha1/state/:storeName/query QueryStateAlpha1 state/v1alpha1
GET v1.0/secrets/:secretStoreName/bulk GetBulkSecret secrets/v1
GET v1.0/secrets/:secretStoreName/:key GetSecret secrets/v1
POST,PUT v1.0/publish/:pubsubname/:topic{.+} PublishEvent publish/v1
POST,PUT v1.0/publish/bulk/:pubsubname/:topic{.+} BulkPublishEvent publish/v1
POST,PUT v1.0-alpha1/publish/bulk/:pubsubname/:topic{.+} BulkPublishEvent publish/v1alpha1
POST,PUT v1.0/actors/:actorType/:actorId/state ExecuteActorStateTransaction actors/v1
GET v1.0/actors/:actorType/:actorId/state/:key GetActorState actors/v1
GET,POST,PUT,DELETE v1.0/actors/:actorType/:actorId/method/:method InvokeActor actors/v1
POST,PUT v1.0/actors/:actorType/:actorId/reminders/:name RegisterActorReminder actors/v1
GET v1.0/actors/:actorType/:actorId/reminders/:name GetActorReminder actors/v1
DELETE v1.0/actors/:actorType/:actorId/reminders/:name UnregisterActorReminder actors/v1
POST,PUT v1.0/actors/:actorType/:actorId/timers/:name RegisterActorTimer actors/v1
DELETE v1.0/actors/:actorType/:actorId/timers/:name UnregisterActorTimer actors/v1
GET v1.0/metadata GetMetadata metadata/v1
PUT v1.0/metadata/:key PutMetadata metadata/v1
POST v1.0/shutdown Shutdown shutdown/v1
POST,PUT v1.0/bindings/:name InvokeBinding bindings/v1
GET v1.0/configuration/:storeName GetConfiguration configuration/v1
GET v1.0-alpha1/configuration/:storeName GetConfiguration configuration/v1alpha1
GET v1.0/configuration/:storeName/subscribe SubscribeConfiguration configuration/v1
GET v1.0-alpha1/configuration/:storeName/subscribe SubscribeConfiguration configuration/v1alpha1
GET v1.0/configuration/:storeName/:configurationSubscribeID/unsubscribe UnsubscribeConfiguration configuration/v1
GET v1.0-alpha1/configuration/:storeName/:configurationSubscribeID/unsubscribe UnsubscribeConfiguration configuration/v1alpha1
${['GetKey', 'Encrypt', 'Decrypt', 'WrapKey', 'UnwrapKey', 'Sign', 'Verify'].map((name) => `POST v1.0-alpha1/subtlecrypto/:name/${name.toLowerCase()} Subtle${name} subtlecrypto/v1alpha1`).join('\n')}
PUT v1.0-alpha1/crypto/:name/encrypt Encrypt crypto/v1alpha1
PUT v1.0-alpha1/crypto/:name/decrypt Decrypt crypto/v1alpha1
GET v1.0/healthz Healthz -
GET v1.0/healthz/outbound HealthzOutbound -
POST v1.0-alpha1/lock/:storeName TryLock lock/v1alpha1
POST v1.0-alpha1/unlock/:storeName Unlock unlock/v1alpha1
${[['v1.0', 'v1'], ['v1.0-beta1', 'v1beta1'], ['v1.0-alpha1', 'v1alpha1']].map(([version, group]) => `
GET ${version}/workflows/:workflowComponent/:instanceID GetWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:workflowName/start StartWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:instanceID/raiseEvent/:eventName RaiseEventWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:instanceID/pause PauseWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:instanceID/resume ResumeWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:instanceID/terminate TerminateWorkflow workflows/${group}
POST ${version}/workflows/:workflowComponent/:instanceID/purge PurgeWorkflow workflows/${group}`).join('\n')}
${[['v1.0', 'v1'], ['v1.0-alpha1', 'v1alpha1']].map(([version, group]) => `
POST ${version}/jobs/:name ScheduleJob jobs/${group}
GET ${version}/jobs/:name GetJob jobs/${group}
DELETE ${version}/jobs/:name DeleteJob jobs/${group}`).join('\n')}
POST v1.0-alpha1/conversation/:name/converse Converse conversation/v1alpha1
POST v1.0-alpha2/conversation/:name/converse Converse conversation/v1alpha2
`;
/** Not Dapr's. */
const ours = ['POST,PUT v1.0-alpha1/state/:storeName/keys ListStateKeysAlpha1 state/v1alpha1'];

test("Dapr's routes, each with its name and its group, and one of our own", () => {
  const lines = all.map(({ methods, path, name, group }) => `${[...methods].join(',')} ${path} ${name} ${group || '-'}`);
  expect(lines.sort()).toEqual([...dapr.split('\n').filter((line) => line !== ''), ...ours].sort());
});
