/**
 * CSV for spreadsheets (RFC 4180): every line ends in CR LF, and a cell with a comma, a quote or a line break stands in quotes.
 * Cells hold what others named. One that a spreadsheet would take for a formula gets an apostrophe before it, and what would
 * steer a terminal becomes `?`; the JSON export has such texts as they are.
 */
export function csvText(heads: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  return [heads, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

const steering = /[^\P{Cc}\t\r\n]|[\p{Bidi_Control}\u2028\u2029]/gu;

function cell(value: string | number | null): string {
  if (typeof value !== 'string') return value === null ? '' : String(value);
  const still = value.replace(steering, '?');
  const safe = /^[=+\-@\t\r\n]/.test(still) ? `'${still}` : still;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
