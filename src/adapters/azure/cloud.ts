// The clouds of Azure: where each logs in, and how its services are called (upstream: common/authentication/azure).

export interface AzureCloud {
  /** Origin of Microsoft Entra ID. */
  authority: string;
  /** Domain of storage accounts. */
  storage: string;
  /** Origin of Azure Resource Manager, which is its audience as well. */
  management: string;
  /** Audience of databases for PostgreSQL. */
  database: string;
}

const publicCloud: AzureCloud = { authority: 'https://login.microsoftonline.com', storage: 'core.windows.net', management: 'https://management.azure.com', database: 'https://ossrdbms-aad.database.windows.net' };
const chinaCloud: AzureCloud = { authority: 'https://login.chinacloudapi.cn', storage: 'core.chinacloudapi.cn', management: 'https://management.chinacloudapi.cn', database: 'https://ossrdbms-aad.database.chinacloudapi.cn' };
const usGovernmentCloud: AzureCloud = { authority: 'https://login.microsoftonline.us', storage: 'core.usgovcloudapi.net', management: 'https://management.usgovcloudapi.net', database: 'https://ossrdbms-aad.database.usgovcloudapi.net' };

const clouds: Readonly<Record<string, AzureCloud>> = {
  '': publicCloud, azurepubliccloud: publicCloud, azurepublic: publicCloud, azurecloud: publicCloud,
  azurechinacloud: chinaCloud, azurechina: chinaCloud,
  azureusgovernmentcloud: usGovernmentCloud, azureusgovernment: usGovernmentCloud,
};

/** By the name in `azureEnvironment`, in any case; '' is the public cloud. Throws where there is no such cloud. */
export function azureCloud(name: string): AzureCloud {
  const cloud = clouds[name.toLowerCase()];
  if (cloud === undefined) throw new Error(`invalid Azure cloud: ${name}`);
  return cloud;
}
