/**
 * Bugs to be planted, so that the tests are seen to fail: an exact text of one source file, and what stands there instead.
 * No switch for them is in the product. Each is caught by a scenario, under the name of the invariant that it breaks.
 */
import { atAgents } from './planted-at-agents.ts';
import { atControlPlane } from './planted-at-control-plane.ts';
import type { PlantedBug } from './planted-bug.ts';

export const plantedBugs: readonly PlantedBug[] = [...atAgents, ...atControlPlane];
