/** People name things; the API wants ids. A name stands wherever an id does; one that is not there, or twice, says what there is. */

import type { CloudAnswer, NetworkAnswer } from '../../shared/api/sites.ts';
import { nearest } from '../../shared/document-mistakes.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { plain } from './output.ts';

const MOST_LISTED = 12;

/** Throws ERR_NOT_FOUND, or ERR_REQUEST_INVALID for a name that several have. `nameOf`: every text that may stand for it. */
export function pick<T>(wanted: string, all: readonly T[], what: string, namesOf: (one: T) => readonly string[]): T {
  const exact = all.filter((one) => namesOf(one).includes(wanted));
  const found = exact.length > 0 ? exact : all.filter((one) => namesOf(one).some((name) => name.toLowerCase() === wanted.toLowerCase()));
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (first !== undefined) {
    const isOfOne = (text: string) => found.filter((one) => namesOf(one).includes(text)).length === 1;
    const alone = found.slice(0, MOST_LISTED).map((one) => plain(namesOf(one).find(isOfOne) ?? ''));
    throw new FarshoreError(
      'ERR_REQUEST_INVALID',
      `${found.length} ${what}s are called '${plain(wanted)}'; say which: ${alone.join(', ')}`,
    );
  }
  const names = all.flatMap((one) => namesOf(one).slice(0, 1));
  const guess = nearest(wanted, names);
  const listed = names.slice(0, MOST_LISTED).map(plain).join(', ') + (names.length > MOST_LISTED ? ', ...' : '');
  throw new FarshoreError(
    'ERR_NOT_FOUND',
    `there is no ${what} '${plain(wanted)}'${guess === undefined ? '' : `; did you mean '${plain(guess)}'?`}`,
    {
      problems: [{ message: `what there is: ${names.length === 0 ? 'nothing' : listed}` }],
    },
  );
}

export const byNameOrId = <T extends { id: string; name: string }>(one: T): string[] => [one.name, one.id];

/** `cloud`, or `site/cloud` where several sites have one of that name. */
export const cloudNames = ({ name, siteName, siteId, id }: CloudAnswer): string[] => [`${siteName}/${name}`, name, `${siteId}/${id}`, id];

export const networkNames = ({ name, id }: NetworkAnswer): string[] => [name, id];
