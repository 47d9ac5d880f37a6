// Preview features a Configuration switches on or off (Dapr: pkg/config/configuration.go).
import type { Configuration } from './kinds.ts';

const onByDefault = ['HotReload', 'WorkflowsRemoteActivityReminder'];

/** Names of what is on: the defaults that are not mentioned, then what the list turns on, names nobody knows included. A later entry counts over an earlier one. */
export function enabledFeatures(features: Configuration['features']): string[] {
  const mentioned = new Set(features.map((feature) => feature.name));
  const enabled = new Set(onByDefault.filter((name) => !mentioned.has(name)));
  for (const { name, enabled: on } of features) {
    if (name === '') continue;
    if (on) enabled.add(name);
    else enabled.delete(name);
  }
  return [...enabled];
}
