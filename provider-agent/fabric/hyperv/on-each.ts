/**
 * One call to each of several hosts at once. It ends when all have ended: whoever is asked again must not meet what the first asking still
 * does at another host. Throws the first failure.
 */
export async function onEach<T>(hosts: readonly T[], call: (host: T) => Promise<unknown>): Promise<void> {
  const ended = await Promise.allSettled(hosts.map(call));
  const failed = ended.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
  if (failed !== undefined) throw failed.reason;
}
