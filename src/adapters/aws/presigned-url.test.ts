import { expect, test } from 'vitest';
import { presignedUrl } from './presigned-url.ts';

// The example of AWS's reference ("Authenticating requests: using query parameters", Amazon S3 API).
test('signs as AWS documents it', async () => {
  const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
  const url = await presignedUrl({ host: 'examplebucket.s3.amazonaws.com', path: '/test.txt', query: {}, service: 's3', region: 'us-east-1', expiresSeconds: 86_400, payload: 'UNSIGNED-PAYLOAD' }, credentials, Date.UTC(2013, 4, 24));
  expect(url).toBe('https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404');
});
