// What every secret store must do, as facts: one suite for all of them (after the conformance suite of components-contrib).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createComponentStore, type Loaded } from '../../src/blocks/components/store.ts';
import type { SecretScope } from '../../src/blocks/resources/kinds.ts';
import type { SecretStore } from '../../src/blocks/secrets/port.ts';
import { createSecretsBlock } from '../../src/blocks/secrets/secrets.ts';
import { background } from '../../src/core/context.ts';
import { DaprError } from '../../src/core/errors.ts';
import { describeWithServer } from '../harness/describe.ts';
import type { ServerName } from '../harness/servers.ts';
import { openComponent } from './open.ts';

/** What a store declares; what it does not is asserted absent. */
export type SecretOperation = 'bulk' | 'multipleValues';

export interface SecretStoreRow {
  type: string;
  title?: string;
  servers?: ServerName[];
  /**
   * Puts secrets where the store finds them: component metadata, what ends it again, and which secrets it now holds (name → entries).
   * Without `multipleValues` each secret has one entry that bears its name.
   */
  start(): Promise<{ metadata: Record<string, string>; secrets: Record<string, Record<string, string>>; stop(): Promise<void> }>;
  operations: readonly SecretOperation[];
  quirks: {
    /** What a secret that is not there answers: an error whose text matches, or an empty text. */
    missing: RegExp | '';
    /** The store shows others besides those of `start`. */
    showsMore?: boolean;
  };
}

export function describeSecretStore(row: SecretStoreRow): void {
  const title = row.title ?? row.type;
  const has = (operation: SecretOperation) => row.operations.includes(operation);

  const body = () => {
    let started: Awaited<ReturnType<SecretStoreRow['start']>>;
    let loaded: Loaded<SecretStore>;
    let port: SecretStore;
    const api = (scopes: SecretScope[] = []) => {
      const components = createComponentStore();
      components.add(loaded);
      return createSecretsBlock({ components, scopes });
    };

    beforeAll(async () => {
      started = await row.start();
      loaded = await openComponent<SecretStore>(row.type, started.metadata);
      port = loaded.port;
    });
    afterAll(async () => {
      await port?.close();
      await started?.stop();
    });

    test('every secret has its entries', async () => {
      expect(Object.keys(started.secrets).length).toBeGreaterThan(0);
      for (const [name, entries] of Object.entries(started.secrets)) expect(await port.get(name, {}, background)).toEqual(entries);
    });

    test('a secret that is not there', async () => {
      const { missing } = row.quirks;
      if (missing === '') return expect(await port.get('not-there', {}, background)).toEqual({ 'not-there': '' });
      await expect(port.get('not-there', {}, background)).rejects.toThrow(missing);
    });

    test('names that every object of JavaScript knows are no secrets', async () => {
      for (const name of ['constructor', '__proto__', 'toString']) {
        const found = await port.get(name, {}, background).catch(() => ({}));
        expect(Object.values(found as Record<string, string>).filter((value) => value !== '')).toEqual([]);
      }
    });

    test('the name decides alone: its case, blanks around it', async () => {
      const [name, entries] = Object.entries(started.secrets)[0] as [string, Record<string, string>];
      for (const other of [` ${name}`, `${name} `, name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase()]) {
        const found = await port.get(other, {}, background).catch(() => null);
        expect(found === null || !Object.values(found).includes(Object.values(entries)[0] as string)).toBe(true);
      }
    });

    test('the feature for several entries is declared only where there are some', () => {
      const features = port.features ?? loaded.features;
      expect(features.includes('MULTIPLE_KEY_VALUES_PER_SECRET')).toBe(has('multipleValues'));
      if (!has('multipleValues')) for (const [name, entries] of Object.entries(started.secrets)) expect(Object.keys(entries)).toEqual([name]);
    });

    describe('bulk', () => {
      test('shows what single reads show', async () => {
        const all = await port.bulkGet({}, background);
        if (!has('bulk')) return expect(all).toBeNull();
        for (const [name, entries] of Object.entries(started.secrets)) expect(all?.[name]).toEqual(entries);
        if (!row.quirks.showsMore) expect(Object.keys(all ?? {}).sort()).toEqual(Object.keys(started.secrets).sort());
        for (const [name, entries] of Object.entries(all ?? {})) expect(await port.get(name, {}, background)).toEqual(entries);
      });
      test('leaves out what the scopes deny', async () => {
        const [first, ...others] = Object.keys(started.secrets) as [string, ...string[]];
        const scope: SecretScope = { storeName: 'store', defaultAccess: 'allow', allowedSecrets: [], deniedSecrets: [first] };
        const shown = Object.keys((await api([scope]).bulkGet('store', {}, background)) ?? {});
        expect(shown).not.toContain(first);
        for (const name of has('bulk') ? others : []) expect(shown).toContain(name);
      });
    });

    test('scopes are judged before the store is asked', async () => {
      const denied = api([{ storeName: 'store', defaultAccess: 'deny', allowedSecrets: [], deniedSecrets: [] }]);
      for (const name of [Object.keys(started.secrets)[0] as string, 'not-there']) {
        const error = await denied.get('store', name, {}, background).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(DaprError);
        expect((error as DaprError).http).toBe(403);
      }
    });
  };

  if (row.servers) describeWithServer(row.servers, title, body);
  else describe(title, body);
}
