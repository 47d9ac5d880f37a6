// What every binding must do, as facts: one suite for all of them (after the conformance suite of components-contrib).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding, BindingEvent, InvokeResult } from '../../src/blocks/bindings/port.ts';
import type { Loaded } from '../../src/blocks/components/store.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import type { ServerName } from '../harness/servers.ts';
import { openComponent } from './open.ts';

export interface BindingRow {
  type: string;
  servers?: ServerName[];
  start(): Promise<{ metadata: Record<string, string>; stop(): Promise<void> }>;
  /** What the component lists, in its order; undefined: no output binding. */
  operations?: readonly string[];
  /** Request metadata that makes create, get and delete mean the same thing. */
  request?: Record<string, string>;
  /** Events come by themselves within this time; undefined: no input binding. */
  eventWithinMs?: number;
  quirks?: {
    /** A get of what is not there: an answer without data, or an error. */
    missing?: 'empty' | 'error';
    /** What is created is not what is read: skips the round trip. */
    noRoundTrip?: boolean;
    /** A list wants a payload. */
    noEmptyList?: boolean;
  };
}

export function describeBinding(row: BindingRow): void {
  const body = () => {
    let server: Awaited<ReturnType<BindingRow['start']>>;
    let loaded: Loaded<Binding>;
    beforeAll(async () => {
      server = await row.start();
      loaded = await openComponent<Binding>(row.type, server.metadata);
    });
    afterAll(async () => {
      await loaded?.port.close();
      await server?.stop();
    });
    const operations = row.operations ?? [];
    const invoke = (operation: string, data = '', metadata = row.request ?? {}): Promise<InvokeResult | null> =>
      (loaded.port.invoke as NonNullable<Binding['invoke']>)({ operation, data: new TextEncoder().encode(data), metadata: { ...metadata } }, background);
    const text = (result: InvokeResult | null) => new TextDecoder().decode(result?.data);

    test('features are those it declares, and what is not declared is not there', () => {
      expect(loaded.features.includes('OUTPUT_BINDING')).toBe(row.operations !== undefined);
      expect(loaded.port.invoke !== undefined).toBe(row.operations !== undefined);
      expect(loaded.features.includes('INPUT_BINDING')).toBe(row.eventWithinMs !== undefined);
      expect(loaded.port.read !== undefined).toBe(row.eventWithinMs !== undefined);
      expect(loaded.port.operations).toEqual(row.operations);
    });

    const roundTrip = operations.includes('create') && operations.includes('get') && !row.quirks?.noRoundTrip;
    describe.runIf(row.operations !== undefined)('output', () => {
      test.runIf(operations.includes('create'))('create succeeds', async () => {
        const result = await invoke('create', 'one value');
        expect(result?.error).toBeUndefined();
      });
      test.runIf(roundTrip)('get returns what was created, last one last', async () => {
        await invoke('create', 'first value');
        await invoke('create', 'second value ü');
        expect(text(await invoke('get'))).toBe('second value ü');
      });
      test.runIf(operations.includes('list'))('list succeeds', async () => {
        await invoke('create', 'one value');
        expect(text(await invoke('list', row.quirks?.noEmptyList ? '{}' : '', {}))).not.toBe('');
      });
      test.runIf(roundTrip && operations.includes('delete'))('what was deleted is gone', async () => {
        await invoke('create', 'one value');
        await invoke('delete');
        if (row.quirks?.missing === 'error') await expect(invoke('get')).rejects.toThrow();
        else expect((await invoke('get'))?.data).toHaveLength(0);
      });
    });

    describe.runIf(row.eventWithinMs !== undefined)('input', () => {
      const read = (handler: (event: BindingEvent) => Promise<Uint8Array | undefined>) => (loaded.port.read as NonNullable<Binding['read']>)(handler);
      test('the handler is called in time, again and again, and no more after the end', async () => {
        const events: BindingEvent[] = [];
        const reading = await read(async (event) => void events.push(event) as undefined);
        await expect.poll(() => events.length, { timeout: 3 * (row.eventWithinMs as number) }).toBeGreaterThanOrEqual(2);
        await reading.close();
        const atEnd = events.length;
        await new Promise((resolve) => setTimeout(resolve, 1.5 * (row.eventWithinMs as number)));
        expect(events).toHaveLength(atEnd);
      });
      test('a handler that fails does not end it', async () => {
        let calls = 0;
        const reading = await read(async () => {
          calls++;
          throw new Error('the app said no');
        });
        await expect.poll(() => calls, { timeout: 3 * (row.eventWithinMs as number) }).toBeGreaterThanOrEqual(2);
        await reading.close();
      });
    });
  };
  if (row.servers) describeWithServer(row.servers, row.type, body);
  else describe(row.type, body);
}
