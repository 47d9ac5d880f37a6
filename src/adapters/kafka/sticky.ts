// The strategy `sticky`: members keep the partitions they have, and no more move than it takes for all to have as many; members and leaders that daprd runs read and write the same (sarama sticky_assignor_user_data.go).
import type { Assignment, GroupMember } from './assigners.ts';

type Topics = Readonly<Record<string, readonly number[]>>;
/** What a member says it has; the later generation is right where two say the same of a partition. */
export interface Claim {
  topics: Topics;
  generation: number;
}
/** Of a member that does not know one. */
export const noGeneration = -1;
const nothing: Claim = { topics: {}, generation: noGeneration };

/** Among members of one topic none ends with two partitions more than another that could take one. */
export function assignSticky(members: readonly GroupMember[], partitions: ReadonlyMap<string, readonly number[]>, claims: ReadonlyMap<string, Claim>): Assignment {
  const ordered = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const wants = new Map(ordered.map(({ id, topics }) => [id, new Set(topics)]));
  const load = new Map(ordered.map(({ id }) => [id, 0]));
  /** topic → partition → member */
  const owners = new Map<string, Map<number, string>>();
  const give = (topic: string, partition: number, id: string): void => {
    const owned = owners.get(topic) ?? new Map<number, string>();
    owners.set(topic, owned.set(partition, id));
    load.set(id, (load.get(id) as number) + 1);
  };
  const loadOf = (id: string): number => load.get(id) as number;
  /** The one with the fewest partitions of those who want the topic. */
  const leastLoaded = (topic: string): string | undefined => ordered.reduce<string | undefined>((least, { id }) => (wants.get(id)?.has(topic) && (least === undefined || loadOf(id) < loadOf(least)) ? id : least), undefined);

  for (const [topic, numbers] of partitions) {
    const claimed = new Map<number, { id: string; generation: number }>();
    for (const { id } of ordered) {
      const { topics, generation } = claims.get(id) ?? nothing;
      if (!wants.get(id)?.has(topic)) continue;
      for (const partition of topics[topic] ?? []) if (generation > (claimed.get(partition)?.generation ?? noGeneration - 1)) claimed.set(partition, { id, generation });
    }
    for (const partition of numbers) {
      const claim = claimed.get(partition);
      if (claim !== undefined) give(topic, partition, claim.id);
    }
  }
  for (const topic of [...partitions.keys()].sort()) {
    for (const partition of partitions.get(topic) as readonly number[]) {
      if (owners.get(topic)?.has(partition)) continue;
      const id = leastLoaded(topic);
      if (id !== undefined) give(topic, partition, id);
    }
  }
  // Each move makes the sum of the squares of the loads smaller: it ends.
  for (let moved = true; moved; ) {
    moved = false;
    for (const [topic, owned] of owners) {
      for (const [partition, from] of owned) {
        const to = leastLoaded(topic) as string;
        if (loadOf(from) - loadOf(to) < 2) continue;
        load.set(from, loadOf(from) - 1);
        give(topic, partition, to);
        moved = true;
      }
    }
  }
  const assignment: Assignment = new Map(members.map(({ id }) => [id, {}]));
  for (const [topic, owned] of owners) {
    for (const [partition, id] of [...owned].sort(([a], [b]) => a - b)) {
      const all = assignment.get(id) as Record<string, number[]>;
      (all[topic] ??= []).push(partition);
    }
  }
  return assignment;
}

export function encodeClaim({ topics, generation }: Claim): Uint8Array<ArrayBuffer> {
  const names = Object.keys(topics).map((topic) => ({ topic, name: new TextEncoder().encode(topic), partitions: topics[topic] as readonly number[] }));
  const bytes = new Uint8Array(8 + names.reduce((size, { name, partitions }) => size + 2 + name.length + 4 + 4 * partitions.length, 0));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, names.length);
  let at = 4;
  for (const { name, partitions } of names) {
    view.setInt16(at, name.length);
    bytes.set(name, at + 2);
    at += 2 + name.length;
    for (const number of [partitions.length, ...partitions]) {
      view.setInt32(at, number);
      at += 4;
    }
  }
  view.setInt32(at, generation);
  return bytes;
}

/** The older form has no generation; what cannot be read claims nothing. */
export function decodeClaim(bytes: Uint8Array): Claim {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const topics: Record<string, number[]> = {};
  try {
    let at = 4;
    for (let left = view.getInt32(0); left > 0; left--) {
      const length = view.getInt16(at);
      const topic = new TextDecoder().decode(bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      const count = view.getInt32(at);
      at += 4;
      const numbers: number[] = [];
      for (let i = 0; i < count; i++, at += 4) numbers.push(view.getInt32(at));
      topics[topic] = numbers;
    }
    return { topics, generation: at + 4 <= bytes.length ? view.getInt32(at) : noGeneration };
  } catch {
    return nothing;
  }
}
