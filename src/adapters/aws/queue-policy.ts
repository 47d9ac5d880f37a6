// The access policy of an SQS queue that SNS topics may send to.

interface Statement {
  readonly Resource?: unknown;
  readonly Condition?: { readonly ArnEquals?: { readonly 'aws:SourceArn'?: unknown } };
}
interface Policy {
  Version?: string;
  Statement?: Statement | Statement[];
}

/** The policy with leave for the topic to send to the queue; undefined where it is there already. Other statements stay as they are. */
export function withTopicAllowed(policy: string | undefined, queueArn: string, topicArn: string): string | undefined {
  const given: Policy = policy ? (JSON.parse(policy) as Policy) : { Version: '2012-10-17' };
  const statements = given.Statement === undefined ? [] : Array.isArray(given.Statement) ? given.Statement : [given.Statement];
  if (statements.some(({ Resource, Condition }) => Resource === queueArn && Condition?.ArnEquals?.['aws:SourceArn'] === topicArn)) return undefined;
  const added = { Effect: 'Allow', Principal: { Service: 'sns.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queueArn, Condition: { ArnEquals: { 'aws:SourceArn': topicArn } } };
  return JSON.stringify({ ...given, Statement: [...statements, added] });
}
