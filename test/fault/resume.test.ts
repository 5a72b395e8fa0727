import { hurtEverywhere } from '../support/hurt-everywhere.ts';

hurtEverywhere('resume');
