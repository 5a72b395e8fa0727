/** How a first copy is made, as a person says it on the command line. */
import { InvalidArgumentError } from 'commander';
import { FIRST_COPY_DAYS_MOST, FirstCopy, FirstCopyFolder, FOLDER_ALLOWED, firstCopyNow } from '../../shared/domain/first-copy.ts';
import { isoMoment } from '../../shared/ports.ts';
import { momentOption } from './moment-option.ts';

export const FIRST_COPY_WORDS = `now; a moment within ${FIRST_COPY_DAYS_MOST} days, such as 2026-11-28T22:00Z; or export:<folder>`;
const EXPORT = 'export:';

export function firstCopyOption(text: string): FirstCopy {
  if (text === 'now') return firstCopyNow;
  if (text.startsWith(EXPORT)) return FirstCopy.parse({ how: 'export', folder: folderOption(text.slice(EXPORT.length)) });
  try {
    return { how: 'at', at: isoMoment(momentOption(text)) };
  } catch {
    throw new InvalidArgumentError(`wanted: ${FIRST_COPY_WORDS}`);
  }
}

export function folderOption(text: string): string {
  const read = FirstCopyFolder.safeParse(text);
  if (!read.success) throw new InvalidArgumentError(`wanted: ${FOLDER_ALLOWED}`);
  return read.data;
}
