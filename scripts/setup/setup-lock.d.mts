/** The types of setup-lock.mjs. */
export function withSetupLock<Result>(root: string, work: () => Promise<Result>): Promise<Result>;
