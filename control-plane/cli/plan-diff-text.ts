/** What changes from one version of a plan to another, in words. */
import path from 'node:path';
import type { PlanDiffAnswer } from '../../shared/api/plans.ts';
import type { FieldChange } from '../../shared/domain/field-changes.ts';
import type { PlanChange } from '../../shared/domain/plan-diff.ts';
import { jsonText, plain } from './output.ts';
import { placeWords } from './plan-picture.ts';

export function diffText({ name, from, to, changes }: PlanDiffAnswer, file = ''): string {
  const ends = `plan ${plain(name)}, from version ${from} to ${to === null ? path.basename(file) : `version ${to}`}`;
  if (changes.length === 0) return `${ends}: nothing changes in meaning`;
  return [`${ends}:`, ...changes.map((change) => `  ${changeText(change)}`)].join('\n');
}

function changeText(change: PlanChange): string {
  switch (change.what) {
    case 'planRenamed':
      return `~ the plan is called ${plain(change.to)}, not ${plain(change.from)}`;
    case 'groupAdded':
      return `+ ${group(change.group)} is new, in place ${change.place}`;
    case 'groupRemoved':
      return `- ${group(change.group)} is gone`;
    case 'groupRenamed':
      return `~ ${group(change.from)} is called "${plain(change.to)}"`;
    case 'groupMoved':
      return `~ ${group(change.group)} moves from place ${change.from} to place ${change.to}`;
    case 'memberAdded':
      return `+ ${plain(change.member)} is new, in ${group(change.group)}`;
    case 'memberRemoved':
      return `- ${plain(change.member)} is gone, from ${group(change.group)}`;
    case 'memberMoved':
      return `~ ${plain(change.member)} moves from ${group(change.from)} to ${group(change.to)}`;
    case 'dependencyAdded':
      return `+ ${plain(change.member)} waits for ${plain(change.dependsOn)}`;
    case 'dependencyRemoved':
      return `- ${plain(change.member)} no longer waits for ${plain(change.dependsOn)}`;
    case 'actionAdded':
      return `+ ${actionText(change)} is new, as number ${change.turn}`;
    case 'actionRemoved':
      return `- ${actionText(change)} is gone`;
    case 'actionChanged':
      return `~ ${actionText(change)}: ${settingText(change)}`;
    case 'actionsReordered':
      return `~ ${ownerOf(change)}: the order ${placeWords[change.place]} is ${change.order.map((action) => `"${plain(action)}"`).join(', ')}`;
    case 'settingChanged':
      return `~ ${ownerOf(change)}: ${settingText(change)}`;
  }
}

const group = (called: string) => `group "${plain(called)}"`;

function ownerOf({ of, name }: { readonly of: 'plan' | 'group' | 'member'; readonly name: string }): string {
  if (of === 'plan') return 'the plan';
  return of === 'group' ? group(name) : plain(name);
}

function actionText(change: Extract<PlanChange, { action: string }>): string {
  return `action "${plain(change.action)}" ${placeWords[change.place]} of ${ownerOf(change)}`;
}

function settingText({ setting, from, to }: FieldChange): string {
  const value = (given: unknown) => (given === null ? 'not set' : jsonText(given));
  return `${setting} is ${value(to)}, was ${value(from)}`;
}
