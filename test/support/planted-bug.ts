/** What a planted bug is: edits of source files, and the scenario that catches it. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** What is broken, for people. */
  readonly what: string;
  readonly scenario: ScenarioName;
  /** As the failing test names it. */
  readonly invariant: string;
}

export type ScenarioName =
  | 'control plane dies'
  | 'agent dies'
  | 'everything twice'
  | 'calls fail'
  | 'reachable primary'
  | 'backup restored'
  | 'backup restored after a failover'
  | 'backup restored, and a site is away'
  | 'backup restored, and decided anew'
  | 'command late'
  | 'writes fail'
  | 'job rests'
  | 'cancelled'
  | 'planned calls fail'
  | 'taking back is skipped'
  | 'failed back'
  | 'drill calls fail'
  | 'drill on an open network'
  | 'undo is skipped'
  | 'failed over again'
  | 'drill on its own network'
  | 'drilled VM unprotected by force'
  | 'suspended'
  | 'action fails'
  | 'all of a group fall'
  | 'one of a group falls'
  | 'protected anew'
  | 'agent dies in a script'
  | 'given up, and its agent had died'
  | 'given up, and its agent lives'
  | 'given up in a moment';
