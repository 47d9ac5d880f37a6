// Which topics an app may publish to and subscribe (component metadata publishingScopes, subscriptionScopes, allowedTopics, protectedTopics; dapr/pkg/scopes/scopes.go).
import { type Properties, property } from '../../core/metadata.ts';

export interface TopicScopes {
  mayPublish(topic: string): boolean;
  maySubscribe(topic: string): boolean;
}

const list = (text: string) => (text === '' ? [] : text.replaceAll(' ', '').split(','));

/** The topics named for an app; app ids count in their case, an app may stand there several times. */
function scopedTopics(text: string, appId: string): Set<string> {
  const topics = new Set<string>();
  for (const entry of text.replaceAll(' ', '').split(';')) {
    const parts = entry.split('=');
    if (parts.length < 2 || parts[0] !== appId) continue;
    for (const topic of (parts[1] as string).split(',')) topics.add(topic);
  }
  return topics;
}

export function topicScopes(properties: Properties, appId: string): TopicScopes {
  const text = (name: string) => property(properties, name) ?? '';
  const allowed = new Set(list(text('allowedTopics')));
  const guarded = new Set(list(text('protectedTopics')));
  const rule = (scoped: Set<string>) => (topic: string) => {
    if (allowed.size > 0 && !allowed.has(topic)) return false;
    return (!guarded.has(topic) && scoped.size === 0) || scoped.has(topic);
  };
  return { mayPublish: rule(scopedTopics(text('publishingScopes'), appId)), maySubscribe: rule(scopedTopics(text('subscriptionScopes'), appId)) };
}
