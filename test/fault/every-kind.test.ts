import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OperationRequest } from '../../shared/api/operations.ts';
import { faultCases } from '../support/fault-cases.ts';

test('every kind of operation that can be asked for has a file here that hurts it everywhere', () => {
  const kinds = OperationRequest.options.map((option) => option.shape.kind.value).sort();
  const texts = readdirSync(import.meta.dirname).map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
  const hurt = texts.flatMap((text) => /hurtEverywhere\('(\w+)'\)/.exec(text)?.[1] ?? []).sort();
  assert.deepEqual(hurt, Object.keys(faultCases).sort());
  assert.deepEqual(
    kinds.filter((kind) => !hurt.includes(kind)),
    [],
  );
});
