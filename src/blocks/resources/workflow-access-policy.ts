// Kind WorkflowAccessPolicy: which app may do what with whose workflows; checked when read, as Kubernetes would.
import * as z from 'zod';
import type { ListedResource } from './kinds.ts';
import { describeIssue, list, object, text } from './shape.ts';

const operations = ['schedule', 'terminate', 'raise', 'pause', 'resume', 'purge', 'get', 'rerun'];
const events = ['activity.started', 'activity.completed', 'workflow.started', 'workflow.completed', 'event.raised'];
const name = () => text().refine((value) => value !== '', { error: 'must not be empty' });
const oneOf = (words: string[]) => text().refine((value) => words.includes(value), { error: `must be one of ${words.join(', ')}` });
const between = <T>(schema: z.ZodType<T[]>, least: number, most: number) => schema.refine((items) => items.length >= least && items.length <= most, { error: `must have ${least} to ${most} entries` });

const requires = () => between(list(object({ eventType: oneOf(events), name: text(), appID: text() })), 0, 20);
const workflow = () => object({ name: name(), operations: between(list(oneOf(operations)), 1, 8), requires: requires() }).refine(
  (rule) => rule.requires.length === 0 || (rule.operations.length === 1 && rule.operations[0] === 'schedule'),
  { error: 'may name requires only with the single operation schedule' },
);
const rule = () => object({ callers: between(list(object({ appID: name() })), 1, 100), workflows: list(workflow()), activities: list(object({ name: name(), requires: requires() })) }).refine(
  (given) => given.workflows.length + given.activities.length > 0,
  { error: 'at least one of workflows or activities must contain a rule' },
);
const spec = z.lazy(() => object({ rules: between(list(rule()), 0, 100) }));

/** What is wrong with a policy; undefined where it can be enforced. */
export function faultOfWorkflowAccessPolicy({ spec: written }: ListedResource): string | undefined {
  const read = spec.safeParse(written);
  return read.success ? undefined : `spec.${describeIssue(read.error)}`;
}
