/**
 * The right to log on as a service, in the security template that secedit.exe exports and takes. A managed account lacks it where the
 * service is made by sc.exe; services.msc would grant it without a word.
 */
const LINE = /^SeServiceLogonRight\s*=\s*(.*)$/m;

/** The template that grants it beside those who have it; null when the account is named there already. */
export function templateGranting(account: string, exported: string): string | null {
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
    '[Privilege Rights]',
    `SeServiceLogonRight = ${[...holders, account].join(',')}`,
    '',
  ].join('\r\n');
}

/** secedit.exe writes and reads UTF-16 with its mark. */
export const templateBytes = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le');
export const templateText = (bytes: Buffer): string => bytes.toString('utf16le').replace(/^\uFEFF/, '');
