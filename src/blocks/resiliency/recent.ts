// Circuit breakers of targets that come and go: so many of the most recently used are kept, the others start anew (dapr: circuitBreakerCacheSize).

export interface Recent<T> {
  get(key: string, make: () => T): T;
}

export function createRecent<T>(most: number): Recent<T> {
  const entries = new Map<string, T>();
  return {
    get: (key, make) => {
      const known = entries.get(key);
      const entry = known ?? make();
      if (known !== undefined) entries.delete(key);
      entries.set(key, entry);
      if (entries.size > most) entries.delete(entries.keys().next().value as string);
      return entry;
    },
  };
}
