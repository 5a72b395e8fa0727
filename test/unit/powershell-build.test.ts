/** Where the PowerShell host cannot be had: told where that is no fault, and a failure where all that can run has to run. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { buildHost } from '../support/powershell/build.ts';

const folder = mkdtempSync(join(tmpdir(), 'farshore-no-sdk-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** With these variables of the environment while it builds. */
async function builtWith(environment: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  const before = Object.keys(environment).map((name) => [name, process.env[name]] as const);
  const set = ([name, value]: readonly [string, string | undefined]): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  try {
    for (const entry of Object.entries(environment)) set(entry);
    return await buildHost();
  } finally {
    for (const entry of before) set(entry);
  }
}

test('without the .NET SDK the reason is told', async () => {
  assert.match(String(await builtWith({ PATH: folder, CI: 'true' })), /^there is no \.NET SDK/);
});

describe('an SDK that cannot build', { skip: process.platform === 'win32' ? 'it is played by a shell script' : false }, () => {
  const says = 'error NU1101: Unable to find package';
  const path = `${folder}:${dirname(process.execPath)}:/bin:/usr/bin`;

  test('is told, and fails where CI says that all has to run', async () => {
    writeFileSync(join(folder, 'dotnet'), `#!/bin/sh\n[ "$1" = --version ] && echo 0.0.0-broken && exit 0\necho '${says}'\nexit 1\n`, {
      mode: 0o755,
    });
    assert.match(String(await builtWith({ PATH: path, CI: undefined })), new RegExp(`^its host cannot be built: ${says}`));
    await assert.rejects(builtWith({ PATH: path, CI: 'true' }), new RegExp(says));
  });
});
