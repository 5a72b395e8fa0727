/** What a site needs and has, for `farshore-agent check`: each fabric brings a list of checks, which read and change nothing. */
export type CheckState =
  | 'ok'
  /** It works, and somebody should look at it. */
  | 'warning'
  /** Something will fail. */
  | 'missing'
  /** It could not be looked at. */
  | 'unknown';

export interface CheckFinding {
  /** A name that stays: `hyperv.firewall`. */
  readonly check: string;
  /** Of what: a host, a file, a cluster. */
  readonly subject: string;
  readonly state: CheckState;
  /** What is there. */
  readonly found: string;
  /** Of everything but `ok`. */
  readonly cause?: string;
  readonly remedy?: string;
}

/** Answers with what it found, also where it could not look; one that throws is told as unknown. */
export interface SiteCheck {
  readonly name: string;
  run(): Promise<readonly CheckFinding[]>;
}
