/**
 * The right to log on as a service, in the security template that secedit.exe exports and takes. A managed account lacks it where the
 * service is made by sc.exe; services.msc would grant it without a word.
 */
import { FarshoreError } from '../../shared/errors.ts';

const SECTION = '[Privilege Rights]';
const LINE = /^SeServiceLogonRight\s*=\s*(.*)$/m;

/**
 * The template that grants it beside those who have it; null when the account is named there already. Throws ERR_SERVICE_FAILED where the export
 * is no such template: what it does not name loses the right.
 */
export function templateGranting(account: string, exported: string): string | null {
  if (!exported.includes(SECTION)) {
    const message = `what secedit.exe exported cannot be read, so the right to log on as a service is not changed: grant it to ${account} by hand (secpol.msc, User Rights Assignment) and repeat`;
    throw new FarshoreError('ERR_SERVICE_FAILED', message);
  }
  const holders = (LINE.exec(exported)?.[1] ?? '')
    .split(',')
    .map((holder) => holder.trim())
    .filter((holder) => holder !== '');
  if (holders.some((holder) => holder.toLowerCase() === account.toLowerCase())) return null;
  return [
    '[Unicode]',
    'Unicode=yes',
    '[Version]',
    'signature="$CHICAGO$"',
    'Revision=1',
    SECTION,
    `SeServiceLogonRight = ${[...holders, account].join(',')}`,
    '',
  ].join('\r\n');
}

/** secedit.exe writes and reads UTF-16 with its mark. */
export const templateBytes = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le');
export const templateText = (bytes: Buffer): string => bytes.toString('utf16le').replace(/^\uFEFF/, '');
