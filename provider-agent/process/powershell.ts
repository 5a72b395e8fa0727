/** Which PowerShell runs what the agent hands to it. */
import { join } from 'node:path';

/** On Windows by its full path: whatever else is on the path of the service is not run. */
export function powerShell(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): string {
  if (platform !== 'win32') return 'pwsh';
  return join(environment.SystemRoot ?? 'C:\\Windows', 'System32', 'WindowsPowerShell', 'v1.0', 'powershell.exe');
}
