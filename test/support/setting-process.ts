/** A process that stores five settings, one after the other, and says on its standard output what became of each. */
import { openStore } from '../../control-plane/store/sqlite.ts';
import { toFarshoreError } from '../../shared/errors.ts';

const [file = ''] = process.argv.slice(2);
const store = await openStore({ file });
for (let n = 0; n < 5; n++) {
  const told = await store.settings.set(`setting ${n}`, 'x').then(
    () => 'stored',
    (error: unknown) => toFarshoreError(error).message,
  );
  console.log(`${n} ${told} ${(await store.settings.get(`setting ${n}`)) ?? '-'}`);
}
await store.close();
