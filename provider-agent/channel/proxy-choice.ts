/**
 * Which proxy the way to the control plane takes: the one in the configuration, else the one of the environment
 * (HTTPS_PROXY, unless NO_PROXY names the host), as other programs on the machine read it.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

/** `configured`: a URL, 'none' for a direct way, or null to look at the environment. */
export function chooseProxy(target: string, configured: string | null, environment: Environment): string | null {
  if (configured !== null) return configured === 'none' ? null : configured;
  const proxy = environment.HTTPS_PROXY ?? environment.https_proxy ?? '';
  if (proxy === '' || isExempt(new URL(target), environment.NO_PROXY ?? environment.no_proxy ?? '')) return null;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

function isExempt(target: URL, list: string): boolean {
  const port = target.port === '' ? '443' : target.port;
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = '', entryPort] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
      if (entryPort !== undefined && entryPort !== port) return false;
      const host = name.replace(/^\*?\./, '');
      return target.hostname === host || target.hostname.endsWith(`.${host}`);
    });
}
