// Many operations on one store, so many at once.

export async function eachOf(count: number, atOnce: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await run(i);
  };
  await Promise.all(Array.from({ length: Math.min(count, Math.max(1, atOnce)) }, worker));
}
