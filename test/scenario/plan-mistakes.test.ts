/** A plan with every kind of mistake in it: all of them in one answer, each with its line, what is wrong, and what is allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openShop } from '../support/api-shop.ts';

const digest = 'a'.repeat(64);
const WRONG = `name: wrong
colour: blue
commitWithinMinutes: 0
startsPerHost: many
name: twice
description: !text tagged
groups:
  - name: one
    beforeShutDown:
      - { do: ask, name: a, instruction: b, kinds: [unplanned] }
      - { do: runScript, name: c, script: 'Gone.ps1@${digest}' }
      - { do: runScript, name: d, script: 'Known.ps1@${digest}' }
    members:
      - { vm: sql-01, dependsOn: [web-01, nobody, sql-01, web-03] }
      - { vm: web-01, dependsOn: [sql-01, sql-01] }
      - { vm: &anchor web-02, guestAnswersWithinSeconds: 4000 }
      - { vm: *anchor }
      - { dependsOn: sql-01 }
      - { vm: gone-01 }
      - { vm: lab-01 }
      - { vm: web-01 }
  - name: one
    before:
      - { do: waitForTcp, name: d, host: 'a b', port: 99999 }
      - { do: waitForHttp, name: e, url: 'https://kim:secret@shop.example/' }
      - { do: waitForHttp, name: f, url: 'ftp://shop.example/', withinSeconds: 0 }
      - { do: waitForTcp, name: g, host: dns, port: 53, at: primary }
      - { do: waitForTcp, name: h, host: dns, port: 53, at: middle, kinds: [planed], directions: [toMoon] }
      - { do: waitForGuest, name: i }
      - { do: waitForGuest, name: j, vm: nobody }
      - { do: dance, name: k }
      - { do: runScript, name: l, script: Unpinned.ps1, delaySeconds: -1, onFailure: ignore }
      - { do: failOverChannel, name: m, channel: ag, primary: A, recovery: B, script: 'Known.ps1@${digest}', kinds: [test, changeRecoveryPoint] }
      - { do: ask, name: n, instruction: '', extra: 1 }
    members:
      - { vm: web-03, before: [{ do: waitForGuest, name: o }] }
  - name: empty
    members: []
  - a text
`;

const EXPECTED = [
  /^2 colour is not a field here \(allowed: name, description,/,
  /^3 commitWithinMinutes '0' is too small \(allowed: at least 1\)/,
  /^4 startsPerHost 'many' is a text \(allowed: a number\)/,
  /^5 the field is given twice \(allowed: each field once\)/,
  /^6 has a tag, a word that begins with ! \(allowed: the value without a tag\)/,
  /^10 groups\[0\]\.beforeShutDown\[0\]\.kinds\[0\] 'unplanned' is not one of those allowed.* \(allowed: planned, takeBack, changeRecoveryPoint\)/,
  /^11 groups\[0\]\.beforeShutDown\[1\]\.script Reading has no script 'Gone\.ps1' \(allowed: Known\.ps1\)/,
  /^11 groups\[0\]\.beforeShutDown\[1\]\.script Slough has no script 'Gone\.ps1' \(allowed: Known\.ps1\)/,
  /^12 groups\[0\]\.beforeShutDown\[2\]\.script 'Known\.ps1' at Reading has another digest: .* \(allowed: Known\.ps1@bbbb/,
  /^12 groups\[0\]\.beforeShutDown\[2\]\.script 'Known\.ps1' at Slough has another digest: .* \(allowed: Known\.ps1@bbbb/,
  /^14 .*dependsOn\[1\] no member of this plan is called 'nobody' \(allowed: members of this plan/,
  /^14 .*dependsOn\[2\] 'sql-01' depends on itself \(allowed: other members\)/,
  /^14 .*dependsOn\[3\] 'web-03' is in group "one", which starts after 'sql-01' in "one" \(allowed: members of the same group or/,
  /^15 .*dependsOn\[0\] these wait for each other: sql-01 -> web-01 -> sql-01 \(allowed: members that do not wait/,
  /^15 .*dependsOn\[1\] 'sql-01' is listed twice \(allowed: each member once\)/,
  /^16 anchors and aliases are not taken \(allowed: the value itself, written out\)/,
  /^16 .*guestAnswersWithinSeconds '4000' is too large \(allowed: at most 3600\)/,
  /^17 anchors and aliases are not taken/,
  /^18 groups\[0\]\.members\[4\]\.vm is missing \(allowed: a text\)/,
  /^18 groups\[0\]\.members\[4\]\.dependsOn 'sql-01' is a text \(allowed: a list\)/,
  /^19 .*no protected VM is called 'gone-01' \(allowed: a protected VM: farshore vms list\)/,
  /^20 .*'lab-01' is in cloud Lab of Third and is not protected \(allowed: a VM of a cloud that is paired: pair this one first/,
  /^21 .*"web-01" is in group "one" already \(allowed: each VM once\)/,
  /^22 groups\[1\]\.name group 1 is called "one" too \(allowed: a name of its own for each group\)/,
  /^24 .*host 'a b' does not have the right form \(allowed: a host name or an address\)/,
  /^24 .*port '99999' is too large \(allowed: at most 65535\)/,
  /^25 .*url carries a user name or a password \(allowed: an address that everybody may read\)/,
  /^26 .*url 'ftp:\/\/shop\.example\/' does not have the right form \(allowed: an address such as/,
  /^26 .*withinSeconds '0' is too small \(allowed: at least 1\)/,
  /^27 .*at an unplanned failover asks nothing of the site that it leaves, and toRecovery that is the primary site \(allowed: kinds/,
  /^28 .*at 'middle' is not one of those allowed \(allowed: primary, recovery\)/,
  /^28 .*kinds\[0\] 'planed' is not one of those allowed; did you mean 'planned'\?/,
  /^28 .*directions\[0\] 'toMoon' is not one of those allowed/,
  /^29 .*vm is missing \(allowed: a member of this plan, named as in its `vm`\)/,
  /^30 .*vm no member of this plan is called 'nobody' \(allowed: a member/,
  /^31 .*do 'dance' is not one of those allowed \(allowed: ask, waitForTcp/,
  /^32 .*script 'Unpinned\.ps1' does not have the right form \(allowed: 'name\.ps1@' and the SHA-256/,
  /^32 .*delaySeconds '-1' is too small/,
  /^32 .*onFailure 'ignore' is not one of those allowed \(allowed: stop, continue\)/,
  /^33 .*kinds a drill does not fail a channel over: production is in it \(allowed: planned, unplanned, takeBack\)/,
  /^33 .*kinds with another recovery point VMs stay at their site, and so does the channel \(allowed: planned/,
  /^33 .*script 'Known\.ps1' at Reading has another digest/,
  /^33 .*script 'Known\.ps1' at Slough has another digest/,
  /^34 .*instruction is too short \(allowed: at least 1 characters\)/,
  /^34 .*extra is not a field here \(allowed: do, name, directions, delaySeconds, onFailure, kinds, instruction\)/,
  /^36 .*before\[0\] 'web-03' cannot answer before it is started \(allowed: after the member, or another member\)/,
  /^38 groups\[2\]\.members is too short \(allowed: at least 1 entries\)/,
  /^39 groups\[3\] 'a text' is a text \(allowed: an object with fields\)/,
];

/** Mistakes that keep a YAML file from being read at all, each with what is allowed. */
const UNREADABLE: readonly (readonly [text: string, told: RegExp])[] = [
  ['name: a\ngroups:\n\t- name: b\n', /^x\.yaml:3:1 .*tab.*\(allowed: spaces\)/m],
  ['name: a\n---\nname: b\n', /^x\.yaml:\d+:\d+ .*\(allowed: one document in a file\)/m],
  ['name: "a\ngroups: []\n', /^x\.yaml:\d+:\d+ .*a text in quotes has no end \(allowed: " at its end\)/m],
  [`name: ${'['.repeat(60)}`, /^x\.yaml:1:1 +is nested too deeply \(allowed: at most 40 levels\)/m],
  ['a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: shop\n', /^x\.yaml:3:\d+ .*anchors and aliases are not taken/m],
  [`name: a\n${'#'.repeat(1024 * 1024)}`, /^text +is too long \(allowed: at most 1048576 characters\)/m],
];

test('a plan with every kind of mistake has all of them told at once, each with its line and what is allowed', async (t) => {
  const { world, kim, reading, cli, file } = await openShop(t, ['sql-01', 'web-01', 'web-02', 'web-03']);
  await world.addSite(kim, 'Third', 'Lab', ['lab-01']);
  for (const site of world.connected) world.scripts.set(site, [{ name: 'Known.ps1', sha256: 'b'.repeat(64) }]);
  assert.ok(world.scripts.has(reading.id));
  const { code, stderr } = await cli(['plans', 'validate', await file('wrong.yaml', WRONG)]);
  assert.equal(code, 2);
  const told = stderr.split('\n').flatMap((line) => {
    const found = /wrong\.yaml:(\d+):\d+ {2}(.*)$/.exec(line);
    return found === null ? [] : [`${found[1]} ${found[2]?.replaceAll('  ', ' ')}`];
  });
  assert.deepEqual(EXPECTED.filter((mistake) => !told.some((line) => mistake.test(line))).map(String), [], told.join('\n'));
  assert.deepEqual(
    told.filter((line) => !EXPECTED.some((mistake) => mistake.test(line))),
    [],
  );
  assert.deepEqual(
    told.filter((line) => !line.includes('(allowed: ')),
    [],
    'each has a remedy',
  );
});

test('what keeps a file from being read is told with its line and what is allowed', async (t) => {
  const { cli, file } = await openShop(t, ['sql-01']);
  for (const [text, expected] of UNREADABLE) {
    const { code, stderr } = await cli(['plans', 'validate', await file('x.yaml', text)]);
    assert.equal(code, 2, stderr.slice(0, 500));
    assert.match(stderr.replaceAll(/^.*\/(?=x\.yaml:)|^ +/gm, ''), expected);
  }
});
