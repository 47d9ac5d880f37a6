import { expect, test } from 'vitest';
import { rdsToken } from './login.ts';

// Made by feature/rds/auth of AWS's SDK for Go, which writes no slash after the port; what is signed is the same.
const made = 'mydb.123456789012.eu-west-1.rds.amazonaws.com:5432?Action=connect&DBUser=jane%2Bdoe%40x%20y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261121%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261121T213821Z&X-Amz-Expires=900&X-Amz-Security-Token=token%2Fwith%2Bsigns%3D%3D&X-Amz-SignedHeaders=host&X-Amz-Signature=f438168f22c96fcdf4ae4e784fefc213b9329a87d090b61bfac508c15e134b8d';

test("a token for Amazon RDS is the one AWS's own SDK makes", async () => {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', sessionToken: 'token/with+signs==' };
  const server = { host: 'mydb.123456789012.eu-west-1.rds.amazonaws.com', port: 5432, user: 'jane+doe@x y' };
  expect(await rdsToken(server, 'eu-west-1', credentials, Date.UTC(2026, 10, 21, 21, 38, 21))).toBe(made.replace('?', '/?'));
});
