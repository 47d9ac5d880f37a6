// Metadata by which Azure components sign in with Microsoft Entra ID (upstream: common/authentication/azure/metadata-properties.go).
import { field } from '../../core/metadata.ts';

export const entraFields = {
  azureTenantId: field.text().default('').describe('Microsoft Entra ID: tenant of the application'),
  azureClientId: field.text().default('').describe('Client id of the application, or of the managed identity where there are several'),
  azureClientSecret: field.text().default('').describe('Secret of the application'),
  azureCertificate: field.text().default('').describe('Certificate and RSA key of the application, as PEM or PKCS #12 in base64; instead of the secret'),
  azureCertificateFile: field.text().default('').describe('File that holds certificate and key, as PKCS #12 (PFX) or PEM'),
  azureCertificatePassword: field.text().default('').describe('Password of the PKCS #12'),
  azureEnvironment: field.text().default('').describe('AzurePublicCloud (default), AzureChinaCloud or AzureUSGovernmentCloud'),
  azureAuthMethods: field.text().default('').describe('Ways to sign in, tried in this order: clientcredentials (creds), clientcertificate (cert), workloadidentity (wi), managedidentity (mi), or none. Default: all of them, as far as they are set up'),
};
export const entraAliases = {
  tenantId: 'azureTenantId', spnTenantId: 'azureTenantId', clientId: 'azureClientId', spnClientId: 'azureClientId', clientSecret: 'azureClientSecret', spnClientSecret: 'azureClientSecret',
  spnCertificate: 'azureCertificate', spnCertificateFile: 'azureCertificateFile', spnCertificatePassword: 'azureCertificatePassword', azureCloud: 'azureEnvironment',
  microsoftEntraIDAuthMethods: 'azureAuthMethods', entraIDAuthMethods: 'azureAuthMethods', azureADAuthMethods: 'azureAuthMethods',
};

export type EntraSettings = { readonly [K in keyof typeof entraFields]: string };
