// The test servers themselves: they start, keep what they should over a crash, and leave nothing behind.
import { expect, test } from 'vitest';
import { describeWithServer } from './describe.ts';
import { startPostgres, startRedis } from './servers.ts';

describeWithServer('redis', 'startRedis', () => {
  test('runs commands, binary safe', async () => {
    const redis = await startRedis();
    expect(await redis.command('HSET', 'k', 'data', new Uint8Array([0, 255]), 'version', '1')).toBe(2);
    expect(await redis.commandBuffer('HGET', 'k', 'data')).toEqual(Buffer.from([0, 255]));
    expect(await redis.command('HMGET', 'k', 'version', 'none')).toEqual(['1', null]);
    await expect(redis.command('INCR', 'k')).rejects.toThrow('WRONGTYPE');
    await redis.stop();
  });
  test('keeps data over a crash when asked', async () => {
    const redis = await startRedis({ persist: true });
    await redis.command('SET', 'k', 'v');
    await redis.kill();
    await expect(redis.command('GET', 'k')).rejects.toThrow();
    await redis.restart();
    expect(await redis.command('GET', 'k')).toBe('v');
    await redis.stop();
  });
});

describeWithServer('postgres', 'startPostgres', () => {
  test('runs statements and keeps data over a crash', async () => {
    const postgres = await startPostgres();
    await postgres.sql('create table t (a int, b text); insert into t values (1, null), (2, $$x$$)');
    await postgres.kill();
    await postgres.restart();
    expect(await postgres.sql('select * from t order by a')).toBe('1|\n2|x');
    expect(await postgres.sql('show fsync')).toBe('on');
    await expect(postgres.sql('select nothing')).rejects.toThrow('nothing');
    await postgres.stop();
  });
});
