/** Set-up cannot go on; the message says why and what to do, so it is shown without a stack. */
export class Refusal extends Error {}
