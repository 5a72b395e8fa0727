/** The documents that are made from the code, so that they cannot lie. A test in test/house fails when one is stale. */
import { openApiDocument } from '../../shared/api/openapi.ts';
import { metadataDocument } from './metadata.ts';
import { statesDocument } from './states.ts';

/** Path from the root of the project -> its text. */
export const documents: Readonly<Record<string, () => string>> = {
  'docs/metadata.md': metadataDocument,
  'docs/openapi.json': () => `${JSON.stringify(openApiDocument(), null, 2)}\n`,
  'docs/states.md': statesDocument,
};
