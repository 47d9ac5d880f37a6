// How the partitions of topics are shared among the members of a group, under the names and in the form that daprd's client uses, so that both can be in one group (sarama balance_strategy.go).
import type { AssignerProtocol, PartitionAssigner } from 'kafkajs';
import { assignSticky, decodeClaim, encodeClaim, noGeneration } from './sticky.ts';

export interface GroupMember {
  id: string;
  topics: readonly string[];
}
/** member → topic → partitions */
export type Assignment = Map<string, Record<string, number[]>>;

const empty = (members: readonly GroupMember[]): Assignment => new Map(members.map(({ id }) => [id, {}]));
const give = (to: Assignment, member: string, topic: string, partition: number): void => {
  const all = to.get(member) as Record<string, number[]>;
  (all[topic] ??= []).push(partition);
};
const byId = (a: GroupMember, b: GroupMember): number => (a.id < b.id ? -1 : 1);

/** Neighbouring partitions of each topic go to one member. */
export function assignRange(members: readonly GroupMember[], partitions: ReadonlyMap<string, readonly number[]>): Assignment {
  const assignment = empty(members);
  for (const [topic, numbers] of partitions) {
    const takers = members.filter(({ topics }) => topics.includes(topic)).sort(byId);
    const step = numbers.length / takers.length;
    takers.forEach(({ id }, i) => {
      for (const number of numbers.slice(Math.floor(i * step + 0.5), Math.floor((i + 1) * step + 0.5))) give(assignment, id, topic, number);
    });
  }
  return assignment;
}

/** One partition after the other to the next member that wants its topic. */
export function assignRoundRobin(members: readonly GroupMember[], partitions: ReadonlyMap<string, readonly number[]>): Assignment {
  const assignment = empty(members);
  const sorted = [...members].sort(byId);
  let at = 0;
  for (const topic of [...partitions.keys()].sort()) {
    if (!sorted.some(({ topics }) => topics.includes(topic))) continue;
    for (const number of partitions.get(topic) as readonly number[]) {
      while (!sorted[at % sorted.length]?.topics.includes(topic)) at++;
      give(assignment, (sorted[at++ % sorted.length] as GroupMember).id, topic, number);
    }
  }
  return assignment;
}

/** `held`: what this member has at the moment, topic → partitions. */
export const assignerOf = (strategy: 'range' | 'roundrobin' | 'sticky', { MemberMetadata, MemberAssignment }: typeof AssignerProtocol, held: () => Readonly<Record<string, readonly number[]>>): PartitionAssigner => ({ cluster }) => ({
  name: strategy,
  version: 0,
  assign: async ({ members }) => {
    const decoded = members.map(({ memberId, memberMetadata }) => ({ id: memberId, metadata: MemberMetadata.decode(memberMetadata) }));
    const group = decoded.map(({ id, metadata }) => ({ id, topics: metadata?.topics ?? [] }));
    const topics = [...new Set(group.flatMap((member) => member.topics))];
    await cluster.addMultipleTargetTopics(topics);
    const partitions = new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId).sort((a, b) => a - b)]));
    const claims = new Map(decoded.map(({ id, metadata }) => [id, decodeClaim(metadata?.userData ?? new Uint8Array(0))]));
    const assignment = strategy === 'sticky' ? assignSticky(group, partitions, claims) : (strategy === 'range' ? assignRange : assignRoundRobin)(group, partitions);
    // What a member of daprd's gets here it says of itself the next time.
    const generation = Math.max(...[...claims.values()].map((claim) => claim.generation)) + 1;
    const userData = (all: Record<string, number[]>) => Buffer.from(strategy === 'sticky' ? encodeClaim({ topics: all, generation }) : []);
    return [...assignment].map(([memberId, all]) => ({ memberId, memberAssignment: MemberAssignment.encode({ version: 0, assignment: all, userData: userData(all) }) }));
  },
  protocol: ({ topics }) => ({ name: strategy, metadata: MemberMetadata.encode({ version: 0, topics, userData: Buffer.from(strategy === 'sticky' ? encodeClaim({ topics: held(), generation: noGeneration }) : []) }) }),
});
