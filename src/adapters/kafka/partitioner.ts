// Which partition a message goes to: the one it names, that of its key, or any (components-contrib/common/component/kafka/partitioner.go, sarama's hash partitioner).

/** Partition of a key among so many: FNV-1a of 32 bits as a signed number, its remainder without the sign. */
export function partitionOfKey(key: Uint8Array, count: number): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  return Math.abs((hash | 0) % count);
}

export interface PartitionInfo {
  partitionId: number;
  leader: number;
}

/** `explicit`: the number that the message names. Throws where the topic has no such partition. */
export function choosePartition(explicit: number | undefined, key: Uint8Array | undefined, partitions: readonly PartitionInfo[]): number {
  const count = partitions.length;
  if (explicit !== undefined) {
    if (explicit >= count) throw new RangeError(`partition number ${explicit} is out of range, topic has ${count} partitions`);
    return explicit;
  }
  if (key !== undefined) return partitionOfKey(key, count);
  const writable = partitions.filter(({ leader }) => leader >= 0);
  const among = writable.length > 0 ? writable : partitions;
  return (among[Math.floor(Math.random() * among.length)] as PartitionInfo).partitionId;
}
