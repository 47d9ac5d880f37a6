import { expect, it } from 'vitest';
import { topicScopes } from './scopes.ts';

const may = (properties: Record<string, string>, topic: string) => {
  const scopes = topicScopes(properties, 'shop');
  return [scopes.mayPublish(topic), scopes.maySubscribe(topic)];
};

it.each([
  [{}, 't', [true, true]],
  [{ publishingScopes: 'shop=a,b' }, 'a', [true, true]],
  [{ publishingScopes: 'shop=a,b' }, 'c', [false, true]],
  [{ publishingScopes: ' shop = a , b ; other=c' }, 'b', [true, true]],
  [{ publishingScopes: 'shop=a;shop=c' }, 'c', [true, true]],
  [{ publishingScopes: 'shop=' }, 'a', [false, true]],
  [{ publishingScopes: 'shop' }, 'a', [true, true]],
  [{ publishingScopes: 'Shop=a' }, 'b', [true, true]],
  [{ publishingscopes: 'shop=a' }, 'b', [false, true]],
  [{ subscriptionScopes: 'shop=a' }, 'b', [true, false]],
  [{ subscriptionScopes: 'other=a' }, 'b', [true, true]],
  [{ allowedTopics: 'a, b' }, 'b', [true, true]],
  [{ allowedTopics: 'a,b' }, 'c', [false, false]],
  [{ allowedTopics: 'a', publishingScopes: 'shop=b' }, 'b', [false, false]],
  [{ protectedTopics: 'p' }, 'p', [false, false]],
  [{ protectedTopics: 'p' }, 'q', [true, true]],
  [{ protectedTopics: 'p', publishingScopes: 'shop=p' }, 'p', [true, false]],
])('%j, topic %s: %j', (properties, topic, allowed) => expect(may(properties, topic)).toEqual(allowed));
