/** Plans for random stories: VMs in one or two groups, with actions of every kind that go well, fail, time out or wait for a person. */
import type { z } from 'zod';
import type { Target } from '../../shared/api/operations.ts';
import { ACTION_PLACES, type ActionPlace } from '../../shared/domain/plan-actions.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';
import { digest } from './test-scripts.ts';
import type { World } from './world.ts';

type Group = z.input<typeof RecoveryPlan>['groups'][number];
type Action = NonNullable<Group['before']>[number];

/** Chance, from the seed of the story. */
export interface Dice {
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
}

const SCRIPTS = ['Good.ps1', 'Bad.ps1', 'Hangs.ps1'] as const;

/** What actions look for at the sites, and the scripts there; one that a plan names is at neither. */
export function haveWhatPlansNeed(world: World): void {
  for (const name of ['reading', 'slough'] as const) {
    const { network, scripts } = world.site(name);
    network.open.add('up:1');
    network.statuses.set('http://up/', 200);
    for (const script of SCRIPTS) scripts.entries.push({ name: script, sha256: digest('a') });
    scripts.exitCodes.set('Bad.ps1', 3).set('Hangs.ps1', null);
  }
}

/** `onAction` is told the kind of each that is in it. */
export function aPlanWithActions(
  world: World,
  vms: readonly ProtectedVmId[],
  dice: Dice,
  onAction: (kind: Action['do']) => void,
): Promise<Target> {
  let count = 0;
  const listAt = (place: ActionPlace, about: ProtectedVmId): Action[] =>
    Array.from({ length: dice.below(3) === 0 ? 1 + dice.below(2) : 0 }, () => {
      const action = anAction(place, about, `action ${++count}`, dice);
      onAction(action.do);
      return action;
    });
  const listsAt = (about: ProtectedVmId) => Object.fromEntries(ACTION_PLACES.map((place) => [place, listAt(place, about)]));
  const cut = dice.below(vms.length + 1);
  const groups = [vms.slice(0, cut), vms.slice(cut)].flatMap((some, index): Group[] => {
    const [first] = some;
    if (first === undefined) return [];
    return [{ name: `group ${index + 1}`, ...listsAt(first), members: some.map((vm) => ({ vm, ...listsAt(vm) })) }];
  });
  return world.planOf(groups);
}

function anAction(place: ActionPlace, about: ProtectedVmId, name: string, dice: Dice): Action {
  const off = ['planned', 'takeBack', 'changeRecoveryPoint'] as const;
  const kinds: NonNullable<Action['kinds']> = place === 'beforeShutDown' ? [...off] : ['unplanned', 'test', ...off];
  const common = {
    name,
    kinds,
    onFailure: dice.pick(['stop', 'continue'] as const),
    ...(dice.below(4) === 0 && { delaySeconds: dice.below(20) }),
  };
  const withinSeconds = 1 + dice.below(40);
  const script = `${dice.pick([...SCRIPTS, 'Good.ps1', 'Gone.ps1'])}@${digest('a')}`;
  const isUp = dice.below(3) > 0;
  const actions: readonly (() => Action)[] = [
    () => ({ do: 'ask', ...common, instruction: 'Look.' }),
    () => ({ do: 'waitForTcp', ...common, withinSeconds, host: isUp ? 'up' : 'down', port: 1 }),
    () => ({ do: 'waitForHttp', ...common, withinSeconds, url: isUp ? 'http://up/' : 'http://down/' }),
    () => ({ do: 'runScript', ...common, withinSeconds, script }),
    () => {
      const moves = kinds.filter((kind) => kind !== 'test' && kind !== 'changeRecoveryPoint');
      return { do: 'failOverChannel', ...common, kinds: moves, withinSeconds, channel: 'ag', primary: 'A', recovery: 'B', script };
    },
    // Before its start a guest answers nobody.
    () =>
      place === 'before' ? { do: 'ask', ...common, instruction: 'Look.' } : { do: 'waitForGuest', ...common, withinSeconds, vm: about },
  ];
  return dice.pick(actions)();
}
