import { expect, it } from 'vitest';
import { statusMatch } from './status-match.ts';

const match = (httpStatusCodes: string, gRPCStatusCodes = '') => statusMatch({ httpStatusCodes, gRPCStatusCodes });

it('lists and ranges of each family; an empty list is all of it', () => {
  const some = match('500,502-504,,429');
  expect([429, 500, 501, 502, 504, 505].map(some)).toEqual([true, true, false, true, true, false]);
  expect([0, 14, 16].map(some)).toEqual([true, true, true]);
  const rpc = match('', '2,14');
  expect([2, 3, 14, 100, 599].map(rpc)).toEqual([true, false, true, true, true]);
  expect([17, 99, 600, -1].map(match(''))).toEqual([false, false, false, false]);
});
it('refuses what is no list, in Dapr’s words', () => {
  const fault = (http: string, grpc = '') => { try { match(http, grpc); return ''; } catch (error) { return (error as Error).message; } };
  expect(fault('500-503-504')).toBe("invalid pattern 500-503-504, more than one '-' exists");
  expect(fault('5xx')).toBe('failed to parse start code 5xx from pattern 5xx to int, strconv.Atoi: parsing "5xx": invalid syntax');
  expect(fault('500- 503')).toBe('failed to parse end code  503 from pattern 500- 503 to int, strconv.Atoi: parsing " 503": invalid syntax');
  expect(fault('600')).toBe('invalid pattern 600, start code 600 is not valid');
  expect(fault('500-600')).toBe('invalid pattern 500-600, end code 600 is not valid');
  expect(fault('504-502')).toBe('invalid pattern 504-502, start value should not bigger than end value');
  expect(fault('', '17')).toBe('invalid pattern 17, start code 17 is not valid');
});
