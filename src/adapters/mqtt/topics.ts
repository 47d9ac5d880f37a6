// MQTT topic filters: which messages a subscription is for (components-contrib/pubsub/mqtt3/mqtt.go).

/** The filter without the name of the group in `$share/<group>/<filter>`: what the topics of its messages are compared with. */
export const unshared = (filter: string): string => filter.replace(/^\$share\/[^/]*\/(?=.)/, '');

/** True where the filter has a level of its own that is `+` or `#`. */
export const hasWildcard = (filter: string): boolean => filter.split('/').some((level) => level === '+' || level === '#');

/** True where a message on the topic is for the filter: `+` is one level, `#` any number of them, none included (inside a filter too, as some brokers allow). */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/'), given = topic.split('/');
  const from = (w: number, g: number): boolean => {
    if (w === wanted.length) return g === given.length;
    if (wanted[w] === '#') return from(w + 1, g) || (g < given.length && from(w, g + 1));
    return g < given.length && (wanted[w] === '+' || wanted[w] === given[g]) && from(w + 1, g + 1);
  };
  return from(0, 0);
}
