/** Cuts long lists of rows or ids so that a statement stays under the number of parameters that a database takes. */

/** Times the columns of the widest table it stays under the 32,766 of SQLite. */
const MOST = 1_000;

export function* batches<T>(items: readonly T[], most: number = MOST): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += most) yield items.slice(start, start + most);
}

/** The results of a query for each batch, one after the other. */
export async function inBatches<T, R>(items: readonly T[], query: (batch: readonly T[]) => Promise<readonly R[]>): Promise<R[]> {
  const results: R[] = [];
  for (const batch of batches(items)) results.push(...(await query(batch)));
  return results;
}
