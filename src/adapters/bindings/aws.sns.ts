// bindings.aws.sns: notifications of AWS SNS.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { parseWhole, textOfBytes } from '../../core/go-json.ts';
import { entriesOf, type Exact, parseExact, printExact } from '../../core/json-exact.ts';
import { field, schema } from '../../core/metadata.ts';
import { awsCalls } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

export default defineBinding({
  type: 'bindings.aws.sns',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Publishes to a topic of AWS SNS; data is JSON with `message` and `subject`.',
  metadata: schema({ ...awsFields, topicArn: field.text().default('').describe('ARN of the topic') }, awsAliases),
  open: async (metadata, { host }) => {
    const settings = awsClientSettings(metadata, host);
    const { PublishCommand, SNSClient } = await import('@aws-sdk/client-sns');
    const client = new SNSClient(settings);
    const call = awsCalls('SNS');
    return {
      operations: ['create'],
      invoke: async ({ data }, { signal }) => {
        const { message, subject } = payloadOf(textOfBytes(data));
        if (message === undefined) throw new AdapterError('invalid', 'the data of bindings.aws.sns has no message');
        await call('Publish', client.send(new PublishCommand({ TopicArn: metadata.topicArn, Message: message, ...(subject === undefined ? {} : { Subject: subject }) }), signal ? { abortSignal: signal } : {}));
        return null;
      },
      close: async () => client.destroy(),
    };
  },
});

/** Texts as they are, other values as JSON; upstream sends what Go prints: `map[a:1]`, `1e+06`, and `<nil>` for what is not there. */
function payloadOf(json: string): { message: string | undefined; subject: string | undefined } {
  try {
    parseWhole(json);
  } catch (error) {
    throw new AdapterError('invalid', textOf(error), error);
  }
  const entries = entriesOf(parseExact(json) ?? null) ?? [];
  const part = (name: string): string | undefined => {
    const value: Exact = entries.findLast(([key]) => key.toLowerCase() === name)?.[1] ?? null;
    return value === null ? undefined : typeof value === 'string' ? value : printExact(value);
  };
  return { message: part('message'), subject: part('subject') };
}
