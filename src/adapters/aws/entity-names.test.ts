// Names of topics and queues, with the cases of components-contrib's own tests as facts.
import { expect, test } from 'vitest';
import { entityName, partitionOf } from './entity-names.ts';

test.each([
  ['orders', false, 'orders'],
  ['a/b.c d-e_F9ü', false, 'abcd-e_F9'],
  ['x'.repeat(100), false, 'x'.repeat(80)],
  ['x'.repeat(100), true, `${'x'.repeat(75)}.fifo`],
  ['name.fifo', true, 'name.fifo'],
  ['name.fifo', false, 'namefifo'],
  [`${'x'.repeat(75)}.fifo`, true, `${'x'.repeat(75)}.fifo`],
  ['', true, '.fifo'],
])('%s (FIFO: %s) → %s', (name, fifo, expected) => {
  expect(entityName(name, fifo)).toBe(expected);
});
test.each([['eu-west-1', 'aws'], ['cn-north-1', 'aws-cn'], ['us-gov-west-1', 'aws-us-gov'], ['us-iso-east-1', 'aws-iso'], ['us-isob-east-1', 'aws-iso-b'], ['eusc-de-east-1', 'aws-eusc'], ['', 'aws']])('%s is in %s', (region, partition) => {
  expect(partitionOf(region)).toBe(partition);
});
