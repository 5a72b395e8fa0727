/** Registers as a process of its own, so that a test can kill it. Takes the data folder as argument and the key on stdin. */
import { text } from 'node:stream/consumers';
import { register } from '../../provider-agent/enroll/register.ts';
import { systemClock } from '../../shared/system-ports.ts';

const [dataDir = ''] = process.argv.slice(2);
await register(await text(process.stdin), { dataDir, proxy: null, clock: systemClock, agentVersion: '0.1.0' });
