// What an AWS service or the way to it said no with, in the words of the SDK for Go, which daprd's users know.
import { AdapterError, textOf } from '../../core/errors.ts';
import { HttpFailure } from '../../core/host.ts';

export class AwsFailure extends AdapterError {
  /** The service's own code, `ResourceNotFoundException`; '' where no answer came. */
  readonly code: string;
  /** `ConditionalCheckFailedException: The conditional request failed`, without the call around it. */
  readonly reason: string;
  constructor(kind: AdapterError['kind'], call: string, reason: string, code: string, cause: unknown) {
    super(kind, `${call}, ${reason}`, cause);
    this.code = code;
    this.reason = reason;
  }
}

/** The same failure, with what it made impossible in front. */
export const prefixed = (what: string, error: unknown): AdapterError => new AdapterError(error instanceof AdapterError ? error.kind : 'internal', `${what}: ${textOf(error)}`, error);

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  /** What stood in the answer, where the SDK for JavaScript has another name for it. */
  readonly Error?: { readonly Code?: string };
}

/** Makes the calls of one service tell their failures: `call('GetParameter', client.send(…))`. `service` is AWS's name for it, `Secrets Manager`. */
export function awsCalls(service: string) {
  return async <T>(operation: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw failureOf(`operation error ${service}: ${operation}`, error);
    }
  };
}

function failureOf(what: string, error: unknown): AwsFailure {
  if (error instanceof HttpFailure) return new AwsFailure('unavailable', `${what}, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: `, error.message, '', error);
  const { name, message, $metadata, Error: answered } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  if (status === undefined) return new AwsFailure('internal', what, textOf(error), '', error);
  // Errors that the service's model describes have a class of their own; of the others only the code is known.
  const described = !/ServiceException$/.test((error as Error).constructor.name);
  return new AwsFailure(status >= 500 ? 'unavailable' : 'internal', `${what}, https response error StatusCode: ${status}, RequestID: ${$metadata?.requestId ?? ''}`, `${described ? '' : 'api error '}${answered?.Code ?? name}: ${message}`, name, error);
}
