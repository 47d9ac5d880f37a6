// The two versions of this program: Dapr's, which tools compare, and its own.
export { daprVersion } from '../../app/settings.ts';
import manifest from '../../../package.json' with { type: 'json' };

export const appVersion: string = manifest.version;
