import { describe, expect, it } from 'vitest';
import { createAccessControl } from './access.ts';

const decide = (defaultAction: string, policies: { appId: string; defaultAction: string }[] = []) =>
  createAccessControl({ defaultAction, trustDomain: 'public', policies: policies.map((policy) => ({ ...policy, trustDomain: 'public', namespace: 'default', operations: [] })) })?.('a/b', 'GET');

describe('callers without a proven identity', () => {
  it('are let through without rules', () => expect(createAccessControl(undefined)).toBeUndefined());
  it.each(['allow', 'Allow', 'ALLOW'])('are let through by the default %s', (action) => expect(decide(action)).toBeUndefined());
  it.each(['deny', 'Deny', '', 'no action'])('are refused by the default "%s"', (action) => expect(decide(action)).toBe('access control policy has denied access to id:  operation: a/b verb: GET'));
  it('get nothing from a policy for an app id that they only say is theirs, neither way', () => {
    expect(decide('deny', [{ appId: 'caller', defaultAction: 'allow' }])).toContain('denied');
    expect(decide('allow', [{ appId: 'caller', defaultAction: 'deny' }])).toBeUndefined();
  });
});
