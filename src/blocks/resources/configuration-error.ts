// Why a sidecar cannot start with its Configuration; the message is what daprd ends with.
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}
