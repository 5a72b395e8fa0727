/**
 * Who but administrators may write, told from a security descriptor in its text form (SDDL, [MS-DTYP] 2.5.1). Kept thin: it knows
 * allow entries, the rights below, and the accounts of administrators and of the system by their fixed ids; groups are not looked
 * into, and an entry that it cannot read counts as one of a stranger.
 */

/** BUILTIN\Administrators, SYSTEM, CREATOR OWNER, TrustedInstaller: as aliases and as SIDs. */
const administrators = new Set([
  'BA',
  'SY',
  'CO',
  'S-1-5-32-544',
  'S-1-5-18',
  'S-1-3-0',
  'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464',
]);

/** As words; those of two letters that name directory rights stand for the same bits of a file. */
const writingWords = ['GA', 'GW', 'FA', 'FW', 'WD', 'WO', 'SD', 'DC', 'LC', 'RP', 'DT', 'CR'];
const allowing = ['A', 'OA', 'XA', 'ZA'];
/** Write data, append, write attributes (plain and extended), delete child, delete, write DAC, write owner, generic write, generic all. */
const WRITING_MASK = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x10000 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000;

/** Ids of the accounts that own it or may write to it and are not administrators; an unreadable descriptor names itself. */
export function strangersIn(sddl: string): string[] {
  const owner = /O:(S-[0-9-]+|[A-Z]{2})/.exec(sddl)?.[1];
  const list = /D:([A-Z_]*)((?:\([^()]*\))*)/.exec(sddl);
  // Without a list of entries everybody may do everything.
  if (owner === undefined || list === null || list[1]?.includes('NO_ACCESS_CONTROL')) return [sddl];
  const entries = (list[2] ?? '').split(')').filter((entry) => entry !== '');
  const writers = entries.flatMap((entry) => {
    const [type = '', flags = '', rights = '', , , account = entry] = entry.replace('(', '').split(';');
    // Entries that are only for what will be made inside say nothing of the thing itself.
    const isOfItself = !flags.includes('IO');
    return allowing.includes(type) && isOfItself && mayWrite(rights) ? [account] : [];
  });
  return [...new Set([owner, ...writers])].filter((account) => !administrators.has(account));
}

function mayWrite(rights: string): boolean {
  if (/^0x[0-9a-f]+$/i.test(rights)) return (Number.parseInt(rights, 16) & WRITING_MASK) !== 0;
  const words = rights.match(/../g) ?? [];
  return words.length * 2 !== rights.length || words.some((word) => writingWords.includes(word));
}
