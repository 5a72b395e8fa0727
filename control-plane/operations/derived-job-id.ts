/** Ids of jobs that nobody asks for by hand: who starts the same one twice starts it once. */
import { JobId } from '../../shared/ids.ts';
import { derivedId } from '../store/derived-id.ts';

export const derivedJobId = (text: string): JobId => JobId.parse(derivedId(text));
