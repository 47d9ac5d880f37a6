// Resources from YAML texts: which documents count, for whom, and which are refused (Dapr: pkg/internal/loader/disk).
import * as z from 'zod';
import type { Logger } from '../../core/log.ts';
import { type ComponentResource, type ListedResource, noResources, type ResourceSet, type Source } from './kinds.ts';
import { faultOfMcpServer } from './mcp-server.ts';
import { head, readComponent, readHttpEndpoint, readListed, readResiliency, readSubscription } from './schemas.ts';
import { describeIssue } from './shape.ts';
import { faultOfWorkflowAccessPolicy } from './workflow-access-policy.ts';
import { parseResourceYaml, splitDocuments, YamlError } from './yaml.ts';

export interface ResourceText {
  /** Path as shown in messages. */
  file: string;
  text: string;
}
export interface LoadOptions {
  appId: string;
  /** Environment NAMESPACE; '' loads every namespace. */
  namespace: string;
  log: Logger;
}

/** Resources that cannot live together; the message is what daprd ends with at its start, `faults` what it ends with while it runs. */
export class ResourceError extends Error {
  override name = 'ResourceError';
  readonly faults: string;
  constructor(message: string, faults = message) {
    super(message);
    this.faults = faults;
  }
}

/** How many entries of one kind there are, and which of them this sidecar sees. */
interface KindRules<R> {
  kind: string;
  /** How the resource is called in messages about duplicates. */
  label(resource: R): string;
  namespaced: boolean;
}
interface Named {
  name: string;
  namespace: string;
  scopes: string[];
}

/**
 * Reads every document of every text, in order. A document that cannot be read is a warning that names file, document, field and fault;
 * the others load. Throws ResourceError for duplicate components, MCP servers and workflow access policies.
 */
export function loadResources(texts: readonly ResourceText[], options: LoadOptions): ResourceSet {
  const log = options.log.scope('dapr.runtime.loader.disk');
  const all = noResources();
  for (const { file, text } of texts) {
    for (const [index, chunk] of splitDocuments(text).entries()) {
      const source: Source = { file, document: index + 1 };
      let kind = 'resource';
      try {
        const document = parseResourceYaml(chunk);
        if (document === null || document === undefined) continue;
        const { apiVersion, kind: found, metadata } = head.parse(document);
        const key = found === 'Resiliency' ? found : `${apiVersion}/${found}`;
        const read = readers[key];
        if (!read) continue;
        kind = found;
        checkName(metadata.name, kind);
        read(all, document, source);
      } catch (error) {
        if (!(error instanceof YamlError || error instanceof z.ZodError || error instanceof NameError)) throw error;
        const reason = error instanceof z.ZodError ? describeIssue(error) : error.message;
        if (kind === 'Resiliency') log.error(`Could not parse resiliency file ${baseName(file)}: document ${source.document}: ${reason}`);
        else log.warn(`daprd load ${kind} error when parsing manifests yaml resource in ${file}: document ${source.document}: ${reason}`);
      }
    }
  }
  return visible(all, options);
}

type Read = (set: ResourceSet, document: unknown, source: Source) => void;
/** By `apiVersion/kind`; of a resiliency only the kind is looked at. */
const readers: Record<string, Read> = {
  'dapr.io/v1alpha1/Component': (set, document, source) => set.components.push(readComponent(document, source)),
  'dapr.io/v1alpha1/HTTPEndpoint': (set, document, source) => set.httpEndpoints.push(readHttpEndpoint(document, source)),
  'dapr.io/v1alpha1/Subscription': (set, document, source) => set.subscriptions.push(readSubscription(document, 'v1alpha1', source)),
  'dapr.io/v2alpha1/Subscription': (set, document, source) => set.subscriptions.push(readSubscription(document, 'v2alpha1', source)),
  'dapr.io/v1alpha1/MCPServer': (set, document, source) => set.mcpServers.push(readListed(document, source)),
  'dapr.io/v1alpha1/Configuration': (set, document, source) => set.configurations.push(readListed(document, source)),
  'dapr.io/v1alpha1/WorkflowAccessPolicy': (set, document, source) => set.workflowAccessPolicies.push(readListed(document, source)),
  Resiliency: (set, document, source) => set.resiliencies.push(readResiliency(document, source)),
};

/** What this app sees: its namespace, its scopes, each name once. */
function visible(all: ResourceSet, options: LoadOptions): ResourceSet {
  const pick = <R extends Named>(resources: R[], rules: Omit<KindRules<R>, 'namespaced'>) => unique(resources, { ...rules, namespaced: true }, options);
  const orThrow = <R>(what: string, { kept, faults }: { kept: R[]; faults: string[] }): R[] => {
    if (faults.length > 0) throw new ResourceError(`failed to load ${what}: ${faults.join('\n')}`, faults.join('\n'));
    return kept;
  };
  const endpoints = pick(all.httpEndpoints, { kind: 'HTTPEndpoint', label: (r) => `${r.name} (${r.baseUrl})` });
  if (endpoints.faults.length > 0) options.log.warn(`failed to load HTTP endpoints: ${endpoints.faults.join('\n')}`);
  return {
    // a component without a name is passed over silently
    components: orThrow('components', pick<ComponentResource>(all.components, { kind: 'Component', label: componentLabel })).filter((r) => r.name !== ''),
    httpEndpoints: endpoints.faults.length > 0 ? [] : endpoints.kept,
    subscriptions: latest(all.subscriptions).filter((r) => inScope(r, options.appId)),
    resiliencies: all.resiliencies.filter((r) => inScope(r, options.appId)),
    workflowAccessPolicies: orThrow('workflow access policies', pick<ListedResource>(all.workflowAccessPolicies, { kind: 'WorkflowAccessPolicy', label: (r) => r.name })).filter((policy) => {
      const fault = faultOfWorkflowAccessPolicy(policy);
      if (fault) options.log.warn(`WorkflowAccessPolicy ${JSON.stringify(policy.name)} failed validation, skipping: ${fault}`);
      return fault === undefined;
    }),
    configurations: latest(all.configurations).filter((r) => inNamespace(r, options.namespace)),
    mcpServers: orThrow('mcpservers', pick<ListedResource>(all.mcpServers, { kind: 'MCPServer', label: (r) => r.name })).filter((server) => {
      if (server.name === '') return false;
      const { fault, ignoreErrors } = faultOfMcpServer(server);
      if (fault && !ignoreErrors) throw new ResourceError(fault);
      if (fault) options.log.error(`Ignoring error processing MCPServer: ${fault}`);
      else options.log.warn(`MCPServer ${server.name} is listed, but this release does not connect to MCP servers`);
      return fault === undefined;
    }),
  };
}

/** How logs and errors call a component. */
export const componentLabel = (r: Pick<ComponentResource, 'name' | 'type' | 'version'>): string => `${r.name} (${r.type}/${r.version})`;

const inNamespace = (resource: Named, namespace: string) => namespace === '' || resource.namespace === '' || resource.namespace === namespace;
const inScope = (resource: Named, appId: string) => resource.scopes.length === 0 || resource.scopes.includes(appId);

/** Out of another namespace: gone. A name met before: a fault, even when the second is out of scope. Out of scope: gone. */
function unique<R extends Named>(resources: R[], rules: KindRules<R>, { appId, namespace }: LoadOptions): { kept: R[]; faults: string[] } {
  const seen = new Map<string, R>();
  const faults: string[] = [];
  for (const resource of resources) {
    if (rules.namespaced && !inNamespace(resource, namespace)) continue;
    const before = seen.get(resource.name);
    if (before) faults.push(`duplicate definition of ${rules.kind} name ${rules.label(resource)} with existing ${rules.label(before)}`);
    else if (inScope(resource, appId)) seen.set(resource.name, resource);
  }
  return { kept: [...seen.values()], faults };
}

/** Subscriptions know neither namespaces nor duplicates: the later of one name takes the place of the earlier. */
function latest<R extends Named>(resources: R[]): R[] {
  return [...new Map(resources.map((resource) => [resource.name, resource])).values()];
}

class NameError extends Error {}
/** Names are parts of paths: Kubernetes' IsValidPathSegmentName. */
function checkName(name: string, kind: string): void {
  const faults = name === '.' || name === '..' ? [`may not be '${name}'`] : ['/', '%'].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);
  if (faults.length > 0) throw new NameError(`invalid name ${JSON.stringify(name)} for ${JSON.stringify(kind)}: ${faults.join('; ')}`);
}

const baseName = (file: string) => file.slice(file.lastIndexOf('/') + 1);
