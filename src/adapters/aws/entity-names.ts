// Names of SNS topics and SQS queues as Dapr makes them from topic names and app ids, and their ARNs.

const longest = 80;
const fifoEnding = '.fifo';

/** Letters, digits, `-` and `_` of a name, 80 at most; FIFO entities end in `.fifo`, which counts. Source: components-contrib/pubsub/aws/snssqs. */
export function entityName(name: string, fifo: boolean): string {
  const bare = fifo && name.endsWith(fifoEnding) ? name.slice(0, -fifoEnding.length) : name;
  const allowed = bare.replace(/[^A-Za-z0-9_-]/g, '');
  return fifo ? allowed.slice(0, longest - fifoEnding.length) + fifoEnding : allowed.slice(0, longest);
}

const partitions: readonly (readonly [prefix: string, partition: string])[] = [
  ['cn-', 'aws-cn'],
  ['eusc-', 'aws-eusc'],
  ['us-isob-', 'aws-iso-b'],
  ['us-isof-', 'aws-iso-f'],
  ['us-iso-', 'aws-iso'],
  ['eu-isoe-', 'aws-iso-e'],
  ['us-gov-', 'aws-us-gov'],
];
/** The part of AWS that a region belongs to. */
export const partitionOf = (region: string): string => partitions.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
