// HTTP routes of the metadata API.
import { goStringify, textOfBytes } from '../../core/go-json.ts';
import { printTexts } from '../../core/json-exact.ts';
import type { MetadataBlock } from '../../blocks/metadata/metadata.ts';
import { empty, type Handler, json, type Route, segment, universalBody } from './call.ts';
import { checkBody } from './proto-body.ts';

export function metadataRoutes(metadata: MetadataBlock): Route[] {
  const get: Handler = async (call) => {
    await checkBody(call);
    const { extended, ...view } = metadata.view();
    // Order of the fields as Dapr prints them.
    const { id, runtimeVersion, enabledFeatures, actors, components, ...others } = view;
    const start = goStringify({ id, runtimeVersion, enabledFeatures, actors, components }).slice(0, -1);
    return json(call, 200, `${start},"extended":${printTexts(extended)},${goStringify(others).slice(1)}\n`);
  };
  const put: Handler = async (call) => {
    metadata.set(segment(call, 2), textOfBytes(await universalBody(call)));
    return empty(call);
  };
  const group = 'metadata/v1';
  return [
    { methods: ['GET'], path: 'v1.0/metadata', name: 'GetMetadata', group, handler: get },
    { methods: ['PUT'], path: 'v1.0/metadata/:key', name: 'PutMetadata', group, handler: put },
  ];
}
